"""Runs on a runner that Tandem doesn't own: Flink.

Prism ends a job whose source has ended. A Flink job with checkpoints never ends by itself, is restored after every
failure, and continues without its launcher. So the launcher watches the journal and the view store, which are
authoritative, and ends the job when the run is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import grpc
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult
from sqlalchemy.exc import SQLAlchemyError

from tandem.runners.flink.runner_states import states_beside
from tandem.runners.options.places import Home
from tandem.runners.submission.job_news import JobNews, JobObserver, say
from tandem.runners.submission.launching import wait
from tandem.runners.submission.run_ends import End, FollowerEnd
from tandem.schemas.errors import FencedError, TandemError
from tandem.storage.urls import beside, is_url

__all__ = [
    "Control",
    "LeftBehind",
    "code_of",
    "is_remote",
    "job_name",
    "name_job",
    "state_folder",
    "wait_for_end",
]

_REMOTE: Final = ("FlinkRunner", "PortableRunner", "SparkRunner")
_LOOK: Final = 0.5
"""Seconds between two checks of the journal."""
_NEWS: Final = 10
"""Checks of the journal between two of the runner."""


class Control(JobObserver, Protocol):
    """Controls the jobs of a name on their runner without the job server, which may be gone."""

    def end(self, name: str, options: PipelineOptions, before: int | None = None) -> None:
        """End the jobs; with `before` (microseconds) only those that began before it. Raises TandemError."""
        ...

    def end_all(self, names: Collection[str], options: PipelineOptions) -> bool:
        """Request the end of the jobs of all these names; returns whether one may still run. Raises TandemError."""
        ...

    def runs(self, name: str, options: PipelineOptions) -> bool | None:
        """Whether one hasn't ended; None without an answer."""
        ...

    def ending(self, name: str, options: PipelineOptions) -> str:
        """The place where a job of this name continues without its launcher, and the command that ends it."""
        ...


def is_remote(options: PipelineOptions) -> bool:
    """Whether the runner's jobs outlive this process."""
    return (options.view_as(StandardOptions).runner or "").rpartition(".")[2] in _REMOTE


def job_name(run: str) -> str:
    """The runner's name of a run's job."""
    return f"tandem-{run}"


def state_folder(home: Home, run: str) -> Path | None:
    """The folder of a run's checkpoints and savepoints, unless flags set another; None where it can't be listed."""
    return None if is_url(home.journal) else states_beside(home.journal) / run


def name_job(options: PipelineOptions, home: Home, run: str) -> None:
    """Name the job after its run, and give its state a folder of its own, in which a resumption finds it.

    No state is kept for a runner in this process.
    """
    if not is_remote(options):
        return
    options.view_as(GoogleCloudOptions).job_name = job_name(run)
    flags: list[str] = options._flags
    given = {flag.partition("=")[0].lstrip("-").replace("_", "").lower() for flag in flags}
    if "statebackendfactory" in given:
        return
    if "statebackend" not in given:
        flags.append("--state_backend=filesystem")
    if "statebackendstoragepath" not in given:
        folder = state_folder(home, run)
        place = f"{beside(home.journal, 'flink')}/{run}" if folder is None else folder.as_uri()
        flags.append(f"--state_backend_storage_path={place}")


@dataclass
class LeftBehind:
    """What of a run goes on when its launcher is ended at once, in words, by how far its job is."""

    run: str
    options: PipelineOptions
    control: Control | None
    stage: Literal["not begun", "begun", "being ended"] = "not begun"

    def __call__(self) -> str:
        """The job, and the command that ends it; empty for this machine's own runners."""
        if not is_remote(self.options):
            return ""
        name = job_name(self.run)
        where = self.control.ending(name, self.options) if self.control else "on its runner: cancel it there"
        if self.stage == "being ended":
            return f"job {name} was being ended; where that wasn't done yet it goes on {where}"
        return f"job {name} goes on {where}" + (", if it was begun by now" if self.stage == "not begun" else "")


def wait_for_end(
    result: PipelineResult,
    options: PipelineOptions,
    end: End,
    control: Control | None = None,
    behind: LeftBehind | None = None,
) -> None:
    """Wait until the run is over or its job has ended, and end the job. Raises FencedError, TandemError.

    The loss of the job server ends neither the job nor the wait. `behind` is kept up to date.
    """
    if not is_remote(options):
        wait(result)
        return
    name = options.view_as(GoogleCloudOptions).job_name
    verdict, behind = _Verdict(end, name, control, options), behind or LeftBehind(_run_of(name), options, control)
    behind.stage = "begun"

    def end_it() -> None:
        behind.stage = "being ended"
        _end(result, options, name, control, end)

    watcher = threading.Thread(target=verdict.await_it, args=(end_it,), daemon=True)
    watcher.start()
    failed = _waited(result, verdict, watcher)
    watcher.join(timeout=60)
    verdict.look_again()
    if verdict.fenced is not None:
        raise verdict.fenced
    if verdict.given_up is not None:
        end.close()
        say(f"job {name} {verdict.given_up}: it was ended as asked; what its lanes hold is taken in by the next run")
        return
    if verdict.known:
        return
    if failed is not None and _CANCELLED not in str(failed):
        raise _explained(failed, name) from failed.__cause__
    run = _run_of(name)
    again = "" if isinstance(end, FollowerEnd) else f"; --resume {run} goes on from its newest savepoint or checkpoint"
    say(f"job {name} was ended on the runner{again}")


_CANCELLED: Final = "Job was cancelled"
"""Flink's message for a cancelled job; `tandem flink stop-job` cancels where there can be no savepoint."""


def _run_of(name: str) -> str:
    return name.removeprefix(job_name(""))


def _explained(error: TandemError, name: str) -> TandemError:
    """The error, with an explanation if the JobManager was restarted."""
    if "FlinkJobNotFoundException" not in str(error):
        return error
    return TandemError(
        f"Flink doesn't know job {name} any more: its JobManager was started anew; "
        f"--resume {_run_of(name)} goes on from its newest checkpoint"
    )


def _waited(result: PipelineResult, verdict: _Verdict, watcher: threading.Thread) -> TandemError | None:
    """Wait for the job server's result, or without it for that of the journal; returns the job's error, if any."""
    try:
        wait(result)
    except TandemError as error:
        return error
    except grpc.RpcError as error:
        say(f"the job server is gone ({code_of(error)}); job {verdict.name} goes on, and is watched by its journal")
        verdict.alone = True
        watcher.join()
        if verdict.lost:
            failed = TandemError(f"job {verdict.name} has ended on the runner, and the job server can't say how")
            failed.__cause__ = error
            return failed
    finally:
        verdict.stop.set()
    return None


@dataclass
class _Verdict:
    end: End
    name: str
    control: Control | None
    options: PipelineOptions
    stop: threading.Event = field(default_factory=threading.Event)
    known: bool = False
    fenced: FencedError | None = None
    alone: bool = False
    """Whether no job server reports the job's state."""
    lost: bool = False
    given_up: str | None = None
    """The slots that the job was missing when it was asked to end."""
    _news: JobNews | None = None
    _looks: int = 0

    def await_it(self, then: Callable[[], None]) -> None:
        while not self.stop.wait(_LOOK):
            if self._look():
                return
            try:
                if not self.end.over() and not self._never_begins():
                    continue
            except FencedError as error:
                self.fenced = error
            except (TandemError, OSError, SQLAlchemyError):
                continue  # the store is busy or unavailable for a moment
            self.known = True
            then()
            return

    def look_again(self) -> None:
        """Check the journal once more: an ended job may have been ended by its successor, which is in the journal
        first.
        """
        if self.known:
            return
        try:
            self.known = self.end.over()
        except FencedError as error:
            self.fenced = error
        except (TandemError, OSError, SQLAlchemyError):
            return

    def _never_begins(self) -> bool:
        """Whether the job was asked to end without slots: its readers, which would seal their lanes, don't run."""
        if self._news is None or not self._news.waiting or not self.end.asked():
            return False
        self.given_up = self._news.waiting
        return True

    def _look(self) -> bool:
        """Report the job's state on its runner; returns whether it has ended without another report of that."""
        self._looks += 1
        if self.control is None or self._looks % _NEWS:
            return False
        self._news = self._news or JobNews(self.name, self.options, self.control)
        self._news.look()
        self.lost = self.alone and self.control.runs(self.name, self.options) is False
        return self.lost


def _end(result: Any, options: PipelineOptions, name: str, control: Control | None, end: End) -> None:
    problems = []
    by_control = [lambda: control.end(name, options, end.replaced_at())] if control else []
    for attempt in [*by_control, result.cancel]:
        try:
            attempt()
            if control is None:
                say(f"the job server was asked to end job {name}; see on the runner whether it has ended")
            return
        except (TandemError, grpc.RpcError, RuntimeError, OSError) as error:
            problems.append(code_of(error) if isinstance(error, grpc.RpcError) else str(error))
    say(f"job {name} could not be ended ({'; '.join(problems)}): cancel it on the runner")


def code_of(error: grpc.RpcError) -> str:
    """The name of the status, such as UNAVAILABLE."""
    code = getattr(error, "code", None)
    return code().name if callable(code) else type(error).__name__
