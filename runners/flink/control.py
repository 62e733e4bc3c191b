"""Controls Flink's jobs for the launcher of a live run over REST, at `--flink_master`, beside the job server."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions

from tandem.runners.flink.jobs import to_end, to_spread, view_of
from tandem.runners.flink.rest import RUNNING, FlinkRest, Job
from tandem.runners.plan.launch import EMBEDDED
from tandem.runners.submission.failures import in_words
from tandem.runners.submission.job_news import Standing
from tandem.schemas.errors import LaunchError, TandemError

__all__ = ["FlinkControl", "cause_of"]

_AWAY: Final = ("remote task manager", "RecipientUnreachableException", "Heartbeat of TaskManager")
"""Words of failures that the end of a TaskManager has caused."""
_TASK_MANAGER: Final = re.compile(r"task-manager-\d+")
_PYTHON: Final = re.compile(r"^(?:RuntimeError: )?((?:\w+\.)*\w*(?:Error|Exception): .+)")
"""The last line of a Python traceback."""


class FlinkControl:
    """A `tandem.runners.submission.remote_runs.Control` over REST."""

    def end(self, name: str, options: PipelineOptions, before: int | None = None) -> None:
        """Cancel the running jobs of this name, or those that began before a time. Raises TandemError."""
        rest = _rest(options)
        running = [job for job in self._jobs(rest, name) if job.state in RUNNING]
        running = [job for job in running if before is None or job.started * 1000 < before]
        if not running:
            raise LaunchError(f"no job {name} runs on Flink at {rest.address}")
        for job in running:
            rest.cancel(job.id)

    def end_all(self, names: Collection[str], options: PipelineOptions) -> bool:
        """Cancel the running jobs of these names; returns whether there were any. Raises TandemError."""
        rest = _rest(options)
        running = [job for job in rest.jobs() if job.name in names and job.state in RUNNING]
        for job in running:
            if job.state != "CANCELLING":
                rest.cancel(job.id)
        return bool(running)

    def runs(self, name: str, options: PipelineOptions) -> bool | None:
        """Whether a job of this name hasn't ended; None without an answer."""
        try:
            return any(job.state in RUNNING for job in self._jobs(_rest(options), name))
        except TandemError:
            return None

    def standing(self, name: str, options: PipelineOptions) -> Standing:
        """Whether a job of this name waits for slots, or is on fewer machines than it could be."""
        try:
            rest = _rest(options)
            jobs = [job for job in self._jobs(rest, name) if job.state in RUNNING]
            view = view_of(rest, jobs[0]) if jobs else None
        except (TandemError, KeyError, TypeError, ValueError):
            return Standing()
        return Standing(view.waits, view.crowded, to_spread(view, rest.address)) if view else Standing()

    def ending(self, name: str, options: PipelineOptions) -> str:
        """The place where a job continues, and the command that ends it."""
        master = str(options.view_as(FlinkRunnerOptions).flink_master).strip()
        if master in EMBEDDED:
            return "on its runner: cancel it there"
        return f"at Flink {master}; `{to_end(name, master)}` ends it"

    def failures(self, name: str, options: PipelineOptions, since: int) -> list[tuple[int, str]]:
        """(milliseconds since 1970-01-01 UTC, one line) of each failure after `since`; none without an answer."""
        try:
            rest = _rest(options)
            jobs = [job for job in self._jobs(rest, name) if job.state in RUNNING]
            found = [entry for job in jobs[:1] for entry in _entries(rest, job)]
        except TandemError:
            return []
        return sorted((at, cause_of(text)) for at, text in found if at > since)

    def _jobs(self, rest: FlinkRest, name: str) -> list[Job]:
        return [job for job in rest.jobs() if job.name == name]


def _rest(options: PipelineOptions) -> FlinkRest:
    master = str(options.view_as(FlinkRunnerOptions).flink_master).strip()
    if master in EMBEDDED:
        raise LaunchError("no --flink_master is known")
    return FlinkRest(master, timeout=5)


def _entries(rest: FlinkRest, job: Job) -> list[tuple[int, str]]:
    history: Any = rest.get(f"/jobs/{job.id}/exceptions").get("exceptionHistory") or {}
    return [(int(entry["timestamp"]), str(entry["stacktrace"])) for entry in history.get("entries", [])]


def cause_of(trace: str) -> str:
    """One line of a Java stack trace: the Python error in it, else the innermost cause, in words."""
    lines = [line.strip() for line in trace.replace("\\n", "\n").splitlines() if line.strip()]
    python = [found[1] for line in lines if (found := _PYTHON.match(line)) and not line.startswith(("java", "org."))]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    cause = in_words((python or causes or lines or ["no reason is given"])[-1 if python or causes else 0])
    if any(words in cause for words in _AWAY):
        name = _TASK_MANAGER.search(cause)
        return f"{name[0] if name else 'a TaskManager'} is lost, or doesn't answer ({cause.partition(':')[0]})"
    return cause[:300]
