"""A real Flink on this machine: JobManager, TaskManagers, Beam's job server and a pool of Python workers.

Tests use it so (a start takes about 10 s; keep one for a whole module)::

    cluster = Cluster.start(folder, slots=2)       # starts missing parts; the second time it repairs
    run(["tandem", "live", *cluster.flags("EXTERNAL"), "--parallelism=2", ...])
    cluster.kill("task-manager-1")                 # SIGKILL, at once; names: cluster.parts()
    Cluster.start(folder)                          # restarts dead parts, on the same ports
    cluster.rest.jobs()                            # see runners/flink/rest.py: savepoint, cancel, checkpoints
    cluster.stop()                                 # ends all parts; checkpoints and savepoints stay
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tandem.runners.flink.config import JOB_MANAGER, JOB_SERVER, WORKER_POOL, Settings, command, write_configuration
from tandem.runners.flink.jars import Jars, cache_folder, provide
from tandem.runners.flink.processes import MARK, Started, end, marked, processes_of, send, spawn
from tandem.runners.flink.rest import FlinkRest
from tandem.schemas.errors import LaunchError, TandemError

__all__ = ["Cluster", "Part", "default_home"]

_STATE: Final = "cluster.json"
_TIME_LIMIT: Final = 120.0
"""Seconds until a start must have finished."""
_POLL: Final = 0.1
_ENVIRONMENTS: Final = ("EXTERNAL", "LOOPBACK")
_PORTS: Final = ("rest_port", "rpc_port", "job_port", "artifact_port", "pool_port")


def default_home() -> Path:
    """$TANDEM_FLINK_HOME, else a folder in the cache."""
    return Path(os.environ.get("TANDEM_FLINK_HOME") or cache_folder() / "home").absolute()


@dataclass(frozen=True, slots=True)
class Part:
    """One process of a cluster, in its current state."""

    name: str
    process: Started | None
    port: int | None
    log: Path

    @property
    def alive(self) -> bool:
        """Whether the part's process runs."""
        return self.process is not None and self.process.alive


@dataclass(frozen=True)
class Cluster:
    """A cluster whose state is kept in `home`: cluster.json, conf, logs, checkpoints, savepoints."""

    home: Path
    settings: Settings

    @classmethod
    def start(
        cls,
        home: str | Path | None = None,
        *,
        time_limit: float = _TIME_LIMIT,
        note: Callable[[str], object] = lambda line: None,
        **wanted: Any,
    ) -> Cluster:
        """Start missing parts, and wait until all of them answer.

        `wanted` are fields of Settings: `task_managers`, `slots`, `heap`, `managed` and ports (free ones by default).
        Raises LaunchError when a part doesn't come up, or when a cluster runs there with other settings.
        """
        folder = Path(home).absolute() if home else default_home()
        jars = provide(note)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"{folder}: this folder can't be made: {error.strerror}") from None
        with _alone(folder):
            cluster = cls._arranged(folder, wanted)
            begun = cluster._spawn_missing(jars, note)
            cluster._wait(begun, lambda: cluster._spawn_missing(jars, note), time_limit)
        return cluster

    @classmethod
    def at(cls, home: str | Path | None = None) -> Cluster:
        """The cluster that was started in this home, dead or alive. Raises LaunchError for none."""
        folder = Path(home).absolute() if home else default_home()
        state = _read(folder)
        if state is None:
            raise LaunchError(f"{folder}: no Flink was started there", "`tandem flink start` does it")
        return cls(folder, Settings(**state["settings"]))

    @classmethod
    def running(cls) -> Iterator[Cluster]:
        """The cluster of the default home, and running ones that this user has started on this machine."""
        for home in sorted({default_home(), *(Path(home) for home, name in marked() if name == JOB_SERVER)}):
            with contextlib.suppress(LaunchError):
                yield cls.at(home)

    @property
    def rest(self) -> FlinkRest:
        """The JobManager's REST interface."""
        return FlinkRest(f"127.0.0.1:{self.settings.rest_port}")

    def parts(self) -> dict[str, Part]:
        """Every process, by name."""
        known = (_read(self.home) or {}).get("processes", {})
        found = {}
        for name in self.settings.parts:
            process = Started(**known[name]) if name in known else None
            found[name] = Part(name, process, self.settings.port_of(name), self._log(name))
        return found

    def flags(self, environment: str = "EXTERNAL") -> list[str]:
        """Beam's flags to run on this cluster, workers in the pool (EXTERNAL) or in the launcher (LOOPBACK)."""
        if environment not in _ENVIRONMENTS:
            raise LaunchError(f"environment {environment!r}; there are {' and '.join(_ENVIRONMENTS)}")
        job, artifacts = self.settings.job_port, self.settings.artifact_port
        flags = [
            "--runner=FlinkRunner",
            f"--job_endpoint=127.0.0.1:{job}",
            f"--artifact_endpoint=127.0.0.1:{artifacts}",
        ]
        flags += [f"--flink_master=127.0.0.1:{self.settings.rest_port}", f"--environment_type={environment}"]
        if environment == "EXTERNAL":
            flags.append(f"--environment_config=127.0.0.1:{self.settings.pool_port}")
        return flags

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one part's process, and after SIGKILL wait until it has ended, which takes a moment.

        Raises LaunchError for an unknown or a dead part.
        """
        parts = self.parts()
        if name not in parts:
            raise LaunchError(f"there is no part {name!r}; parts are {', '.join(parts)}")
        process = parts[name].process
        if process is None or not send(process, number):
            raise LaunchError(f"{name} isn't running")
        while number == signal.SIGKILL and process.alive:
            time.sleep(_POLL)

    def workers(self) -> list[Started]:
        """The worker processes that the pool has started and that run."""
        pool = self.parts()[WORKER_POOL].process
        return [found for found in processes_of(f"{self.home}/{WORKER_POOL}") if pool is None or found.pid != pool.pid]

    def stop(self, grace: float = 10.0) -> list[str]:
        """End all parts and their children; returns the names of running ones. Checkpoints, savepoints, logs stay."""
        with _alone(self.home):
            running = {name: part.process for name, part in self.parts().items() if part.process and part.alive}
            # The job server first: otherwise it would report a failed job to its clients.
            order = [JOB_SERVER, *(name for name in running if name not in (JOB_SERVER, JOB_MANAGER)), JOB_MANAGER]
            for name in order:
                if name in running:
                    end([running[name]], grace)
            end(list(processes_of(f"{self.home}/")), grace)
            (self.home / _STATE).unlink(missing_ok=True)
            shutil.rmtree(self.home / "tmp", ignore_errors=True)
        return list(running)

    @classmethod
    def _arranged(cls, home: Path, wanted: dict[str, Any]) -> Cluster:
        """The existing cluster, or one with new settings if no part of it runs."""
        state = _read(home)
        if state is not None:
            cluster = cls(home, Settings(**state["settings"]))
            running = any(part.alive for part in cluster.parts().values())
            differing = {k: v for k, v in wanted.items() if getattr(cluster.settings, k) != v}
            if running and differing:
                name, value = next(iter(differing.items()))
                raise LaunchError(
                    f"{home}: a cluster runs there with {name} {getattr(cluster.settings, name)}, and {value} was "
                    "asked for; `tandem flink stop` ends it"
                )
            if not differing:
                return cluster
            wanted = {**state["settings"], **wanted}
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        return cls(home, Settings(**{**ports, **wanted}))

    def _spawn_missing(self, jars: Jars, note: Callable[[str], object]) -> dict[str, str]:
        """Start missing parts; returns their names, each with an identity: a dead TaskManager may be listed still."""
        write_configuration(self.home, self.settings)
        begun = {}
        processes = {name: part.process for name, part in self.parts().items() if part.process and part.alive}
        for name in self.settings.parts:
            if name in processes:
                continue
            begun[name] = f"{name}-{secrets.token_hex(4)}"
            line = command(name, self.home, self.settings, jars, begun[name])
            processes[name] = spawn(line, self._log(name), self._environment(name))
            _write(self.home, self.settings, processes)
            note(f"{name}: process {processes[name].pid}")
        return begun

    def _environment(self, name: str) -> dict[str, str]:
        own = {MARK: f"{self.home}/{name}", "PYTHONPATH": _python_path(), "FLINK_CONF_DIR": str(self.home / "conf")}
        return {**os.environ, **own}

    def _wait(self, begun: dict[str, str], again: Callable[[], dict[str, str]], time_limit: float) -> None:
        deadline, missing = time.monotonic() + time_limit, ""
        while time.monotonic() < deadline:
            missing = self._unready(begun)
            dead = [part for part in self.parts().values() if not part.alive]
            for part in dead:
                if part.name in begun:
                    why = _last_error(part.log)
                    raise LaunchError(f"{part.name} ended while it was being started: {why}; see {part.log}")
            if dead:  # it may have been ending before: a killed process takes a moment
                begun |= again()
            elif not missing:
                return
            time.sleep(_POLL)
        raise LaunchError(f"Flink in {self.home} isn't ready after {time_limit:.0f} s: {missing}")

    def _unready(self, begun: dict[str, str]) -> str:
        """The parts that aren't ready yet, as a text; empty when all are."""
        for name in (WORKER_POOL, JOB_SERVER):
            port = self.settings.port_of(name)
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return f"{name} isn't listening on port {port}"
        try:
            listed = replace(self.rest, timeout=2.0).get("/taskmanagers")["taskmanagers"]
        except TandemError as error:
            return str(error)
        slots, wanted = sum(one["slotsNumber"] for one in listed), self.settings.task_managers * self.settings.slots
        new = {identity for name, identity in begun.items() if name.startswith("task-manager")}
        if slots < wanted or new - {one["id"] for one in listed}:
            return f"{len(listed)} TaskManagers with {slots} slots have registered"
        return ""

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(home: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((home / _STATE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LaunchError(
            f"{home / _STATE} can't be read: {error}", "remove it if nothing of that cluster runs"
        ) from error


def _write(home: Path, settings: Settings, processes: Mapping[str, Started]) -> None:
    known = {name: {"pid": process.pid, "began": process.began} for name, process in processes.items()}
    making = home / f"{_STATE}.making"
    making.write_text(json.dumps({"settings": settings.as_json(), "processes": known}, indent=1), encoding="utf-8")
    making.replace(home / _STATE)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _python_path() -> str:
    """The PYTHONPATH with which workers import the same modules as this process, wherever it was started."""
    installed = find_spec("tandem")
    assert installed is not None
    assert installed.origin is not None
    return os.pathsep.join([str(Path(installed.origin).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])


def _last_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    errors = [line for line in lines if "ERROR" in line or "Exception" in line or line.startswith("error:")]
    return (errors or lines or ["it said nothing"])[-1][:300]
