"""Ends the jobs of launches that a new one has replaced, on a remote runner.

Their readers are fenced, which a runner takes for a failure: without their own launcher it would restart them for ever,
and they would keep their slots meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.runs.manifests import RunManifest, list_runs
from tandem.journal.storage.blobs import BlobStore
from tandem.runners.flink.runner_states import newest_state
from tandem.runners.options.places import Home
from tandem.runners.submission.remote_runs import Control, is_remote, job_name, state_folder
from tandem.schemas.errors import LaunchError, TandemError
from tandem.schemas.telemetry.logs import logged

__all__ = ["end_earlier_jobs", "standing_state"]

_TIME_LIMIT: Final = 30.0
"""Seconds until a job must have ended."""
_POLL: Final = 0.2
_FLAG: Final = "--savepoint_path"


def end_earlier_jobs(
    options: PipelineOptions,
    control: Control | None,
    blobs: BlobStore,
    manifest: RunManifest,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """End the running jobs of this run's earlier launches and of the runs before it, and wait until they have ended.

    Call it once the new launch is announced. Where the runner can't be reached, their own launchers end them.
    """
    if control is None or not is_remote(options):
        return
    runs = list_runs(blobs).values()
    names = {job_name(run.id) for run in runs if run.ordinal <= manifest.ordinal} | {job_name(manifest.id)}
    deadline = clock() + _TIME_LIMIT
    while _end_all(control, names, options) and clock() < deadline:
        sleep(_POLL)


def _end_all(control: Control, names: Collection[str], options: PipelineOptions) -> bool:
    """Whether one of them may still run."""
    try:
        return control.end_all(names, options)
    except TandemError:
        return False


def standing_state(options: PipelineOptions, home: Home, run: str) -> None:
    """Replace a checkpoint that the run's earlier job has removed since it was chosen by the run's newest state.

    Until a job has ended it writes further checkpoints, and removes older ones. Raises LaunchError without any.
    """
    if not is_remote(options):
        return
    flags: list[str] = options._flags
    chosen = _value(flags)
    folder = state_folder(home, run)
    path = None if chosen is None else _local(chosen)
    if folder is None or path is None or not path.is_relative_to(folder) or (path / "_metadata").exists():
        return
    newest = newest_state(folder)
    if newest is None:
        raise LaunchError(f"--resume {run}: {chosen} isn't there any more, and no other checkpoint is in {folder}")
    _replace(flags, newest)
    line = f"run {run}: its earlier job has written a newer checkpoint meanwhile; it goes on from {newest}"
    if not logged(line):
        sys.stderr.write(f"{line}\n")


def _value(flags: list[str]) -> str | None:
    for at, flag in enumerate(flags):
        name, given, value = flag.partition("=")
        if name.replace("-", "_") == _FLAG.replace("-", "_"):
            return value if given else next(iter(flags[at + 1 : at + 2]), None)
    return None


def _replace(flags: list[str], value: str) -> None:
    for at, flag in enumerate(flags):
        name, given, _ = flag.partition("=")
        if name.replace("-", "_") == _FLAG.replace("-", "_"):
            flags[at : at + (1 if given else 2)] = [f"{_FLAG}={value}"]
            return


def _local(uri: str) -> Path | None:
    """The folder that a path or a file: URI names; None for other URIs."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path))
