"""Checks this machine: the local runner, Java, disk, limit of open files, optional parts."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tandem.diagnosis.finding import Finding, State
from tandem.schemas.errors import TandemError

__all__ = ["machine_findings"]

_LOW_BYTES: Final = 1 << 30
_SHORT_BYTES: Final = 10 << 30
_FILES: Final = 1_024
_EXTRAS: Final = {
    "serve": ("fastapi", "`tandem serve`"),
    "sql": ("duckdb", "`tandem sql`"),
    "postgres": ("psycopg", "a view store in PostgreSQL"),
    "gcp": ("google.cloud.bigquery", "Dataflow"),
    "plots": ("matplotlib", "`tandem baselines --plot FILE.png`"),
    "frames": ("polars", "Polars and pandas from `tandem.connect`"),
}
"""By extra, a package that only it installs, and its purpose."""


def machine_findings(folder: str | None) -> Iterator[Finding]:
    """Findings about this machine. `folder`: where the installation writes, None where that is elsewhere."""
    yield _prism()
    yield _java()
    if folder is not None:
        yield _disk(folder)
    yield _open_files()
    yield from _extras()


def _prism() -> Finding:
    from tandem.runners.local.prism_binary import cached_binary, downloaded_binary

    found = cached_binary()
    if found is not None:
        return Finding("Prism", State.OK, f"{found}")
    fix = "install Go 1.25 or later and run `python -m tandem.runners.local.prism`"
    if downloaded_binary() is not None:
        return Finding(
            "Prism", State.WARNING, "Beam's own is there, which listens on every address of this machine", fix
        )
    return Finding("Prism", State.ERROR, "isn't there: live runs on this machine need it", fix)


def _java() -> Finding:
    from tandem.runners.flink.jars import java

    try:
        return Finding("Java", State.OK, java())
    except TandemError as error:
        return Finding("Java", State.NOTE, f"{error}", "install Java 11 or later, if something is to run on Flink here")


def _disk(folder: str) -> Finding:
    there = Path(folder)
    while not there.exists():
        there = there.parent
    usage = shutil.disk_usage(there)
    what = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB at {there}"
    fix = "free some, or move the journal to an object store (--journal); `tandem prune` drops what isn't served"
    if usage.free < _LOW_BYTES:
        return Finding("disk", State.ERROR, what, fix)
    if usage.free < _SHORT_BYTES:
        return Finding("disk", State.WARNING, what, fix)
    return Finding("disk", State.OK, what)


def _open_files() -> Finding:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    what = f"{limit:,} files may be open"
    if limit != resource.RLIM_INFINITY and limit < _FILES:
        return Finding("open files", State.WARNING, what, f"`ulimit -n {min(most, 65_536)}` before starting")
    return Finding("open files", State.OK, what)


def _extras() -> Iterator[Finding]:
    for extra, (package, purpose) in _EXTRAS.items():
        if not _is_there(package):
            yield Finding(
                extra, State.NOTE, f"isn't installed: {purpose} needs it", f"pip install 'tandem-beam[{extra}]'"
            )


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
