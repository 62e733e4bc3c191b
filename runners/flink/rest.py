"""A client of a Flink JobManager's REST interface."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.errors import LaunchError, TandemError

__all__ = ["RUNNING", "FlinkRest", "Job"]

RUNNING: Final = ("INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "CANCELLING", "RECONCILING")
"""States of a job that hasn't ended."""
_POLL: Final = 0.2
"""Seconds between two requests."""
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as in the overview."""

    id: str
    name: str
    state: str
    started: int
    """Milliseconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class FlinkRest:
    """A JobManager at `address` (host:port, or a URL)."""

    address: str
    timeout: float = 10.0
    """Seconds until a request must have been answered."""

    @property
    def url(self) -> str:
        """The address with a scheme."""
        return self.address.rstrip("/") if "://" in self.address else f"http://{self.address.rstrip('/')}"

    def get(self, path: str) -> Any:
        """GET; returns the JSON of the answer. Raises LaunchError without an answer, TandemError for a refusal."""
        return self._ask(path, None, "GET")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST; returns the JSON of the answer. Raises like `get`."""
        return self._ask(path, json.dumps(body).encode(), "POST")

    def patch(self, path: str) -> Any:
        """PATCH without a body. Raises like `get`."""
        return self._ask(path, b"", "PATCH")

    def _ask(self, path: str, body: bytes | None, method: str) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method, headers=headers)
        deadline = time.monotonic() + self.timeout
        try:
            # For some seconds a JobManager that has just started answers that it elects a leader.
            while True:
                try:
                    with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                        return json.loads(answer.read() or b"{}")
                except urllib.error.HTTPError as error:
                    if error.code != _UNAVAILABLE or time.monotonic() >= deadline:
                        raise
                time.sleep(_POLL)
        except urllib.error.HTTPError as error:
            raise TandemError(f"Flink at {self.address} refused {method} {path}: {_reason(error)}") from error
        except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise LaunchError(f"no Flink JobManager answers at {self.address}: {_printable(reason)}") from error

    def version(self) -> str:
        """Flink's version."""
        stated = self.get("/config")
        if not isinstance(stated, dict) or "flink-version" not in stated:
            raise LaunchError(f"no Flink JobManager answers at {self.address}: what does, tells no version of Flink")
        return str(stated["flink-version"])

    def overview(self) -> dict[str, Any]:
        """`taskmanagers`, `slots-total`, `slots-available`, `jobs-running` and more."""
        return dict(self.get("/overview"))

    def jobs(self) -> list[Job]:
        """All jobs in the JobManager's memory, the newest first."""
        listed = self.get("/jobs/overview")
        try:
            found = [Job(j["jid"], j["name"], j["state"], int(j["start-time"])) for j in listed["jobs"]]
        except (KeyError, TypeError, ValueError) as error:
            raise LaunchError(
                f"no Flink JobManager answers at {self.address}: what does, lists no jobs as Flink does"
            ) from error
        return sorted(found, key=lambda job: job.started, reverse=True)

    def job(self, prefix: str) -> Job:
        """The job whose id has this prefix, or the running job of this name. Raises LaunchError for none or several."""
        jobs = self.jobs()
        found = [job for job in jobs if job.id.startswith(prefix) or (job.name == prefix and job.state in RUNNING)]
        if len(found) != 1:
            known = ", ".join(f"{job.id} ({job.name}, {job.state})" for job in jobs) or "none"
            raise LaunchError(f"{prefix!r} names {len(found)} jobs of Flink at {self.address}; there are: {known}")
        return found[0]

    def savepoint(
        self, job: str, folder: str | None, *, stop: bool, drain: bool = False, time_limit: float = 300
    ) -> str:
        """Write a savepoint, and with `stop` end the job with it; returns the savepoint's path. Raises TandemError.

        `drain` moves the watermark to the end of time first: the job can't be resumed from such a savepoint.
        """
        body: dict[str, Any] = {"drain": drain} if stop else {"cancel-job": False}
        if folder:
            body["targetDirectory" if stop else "target-directory"] = folder
        trigger = self.post(f"/jobs/{job}/{'stop' if stop else 'savepoints'}", body)["request-id"]
        deadline = time.monotonic() + time_limit
        while time.monotonic() < deadline:
            answer = self.get(f"/jobs/{job}/savepoints/{trigger}")
            if answer["status"]["id"] == "COMPLETED":
                operation = answer["operation"]
                if "location" in operation:
                    return str(operation["location"])
                cause = operation.get("failure-cause", {})
                raise TandemError(f"job {job}: no savepoint was written: {_first(cause.get('stack-trace', cause))}")
            time.sleep(_POLL)
        raise TandemError(f"job {job}: no savepoint within {time_limit:.0f} s")

    def state_folder(self, job: str) -> str | None:
        """URI of the folder for a Beam job's checkpoints, from its options; None where Flink chooses."""
        config = self.get(f"/jobs/{job}/config").get("execution-config") or {}
        path = (config.get("user-config") or {}).get("stateBackendStoragePath")
        return str(path) if path and path != "null" else None

    def cancel(self, job: str) -> None:
        """Cancel a job; its retained checkpoints stay."""
        self.patch(f"/jobs/{job}?mode=cancel")

    def checkpoints(self, job: str) -> dict[str, Any]:
        """`counts`, `summary`, `latest`, `history` of a job's checkpoints."""
        return dict(self.get(f"/jobs/{job}/checkpoints"))


def _printable(reason: object) -> str:
    """One line, also for an answer in another protocol than HTTP."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(reason))
    return " ".join(text.split())[:200] or type(reason).__name__


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        errors = json.loads(error.read()).get("errors", [])
    except (OSError, ValueError):
        errors = []
    return _first(" ".join(map(str, errors))) or f"HTTP {error.code}"


def _first(text: Any) -> str:
    """The innermost cause of a Java stack trace, as one line."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or [""])[-1 if causes else 0][:400]
