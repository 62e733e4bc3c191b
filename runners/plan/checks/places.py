"""Checks of folders and databases that the job's workers can't see, or can't share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import Launch, is_this_machine

__all__ = ["CHECKS", "check_emulator", "check_folders", "check_store", "filesystem_of"]

SHARED: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "gfs2", "glusterfs", "fuse.glusterfs", "lustre", "nfs"}
    | {
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
        "fuse.ceph",
        "fuse.gcsfuse",
        "fuse.s3fs",
        "efs",
        "gpfs",
        "weka",
        "fuse.juicefs",
    }
)
"""Kinds of file systems that several machines share."""


def check_folders(launch: Launch) -> Iterator[Finding]:
    """Folders of this machine that workers on another machine wouldn't find, or would create anew."""
    if launch.elsewhere is None or launch.environment == "LOOPBACK":
        return
    for name, path in _folders(launch):
        if "://" in path or (launch.elsewhere != "Dataflow" and filesystem_of(path) in SHARED):
            continue
        yield Finding(
            Level.ERROR,
            "local-folder",
            f"{name} is a folder of this machine ({path}); workers of {launch.elsewhere} would each have one of their"
            " own, and what they write there is lost to everyone else",
            name,
            _remedy(launch, name),
        )


def _folders(launch: Launch) -> Iterator[tuple[str, str]]:
    places = launch.places
    journal = places.journal if launch.name in ("live", "reconcile") or _reads_journal(launch) else None
    named = (("--journal", journal), ("--dead-letters", places.dead_letters), ("--scratch", places.scratch))
    yield from ((name, path) for name, path in named if path)
    yield from (("--files", path) for path in places.files)


def _reads_journal(launch: Launch) -> bool:
    return launch.name == "backfill" and bool(launch.places.journal) and os.path.isdir(str(launch.places.journal))


def _remedy(launch: Launch, name: str) -> str:
    if launch.elsewhere == "Dataflow":
        if name == "--files":
            return "name files that workers reach (gs://...)"
        return f"name a place that workers reach: {name} gs://BUCKET/PREFIX"
    return (
        "name a place that workers reach (gs://..., s3://...), or put it on a network file system that is mounted at"
        " the same path everywhere (and --accept local-folder if Tandem doesn't know its kind)"
    )


def check_store(launch: Launch) -> Iterator[Finding]:
    """SQLite is a file: several machines can't write it, not even through a network file system."""
    store = launch.places.store
    if store is None or not store.startswith("sqlite"):
        return
    if launch.elsewhere is not None and launch.environment != "LOOPBACK":
        yield Finding(
            Level.ERROR,
            "sqlite-store",
            f"the view store is SQLite ({store}), and workers of {launch.elsewhere} would write to files of their own;"
            " its locks don't hold on network file systems either",
            "--store",
            "use --store postgresql://...",
        )


def check_emulator(launch: Launch) -> Iterator[Finding]:
    """An emulator of this machine with workers on another one."""
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not emulator or launch.elsewhere is None or launch.name not in ("live", "publish"):
        return
    if is_this_machine(emulator) and launch.environment != "LOOPBACK":
        yield Finding(
            Level.ERROR,
            "emulator",
            f"Pub/Sub is the emulator at {emulator}, which workers of {launch.elsewhere} would look for on their own"
            " machines",
            "PUBSUB_EMULATOR_HOST",
            "start `tandem emulator --host 0.0.0.0` and name this machine, or unset it to use Google's Pub/Sub",
        )


def filesystem_of(path: str, mounts: Sequence[str] | None = None) -> str:
    """The kind of the file system of a path, existing or not; "" where it is unknown.

    `mounts`: lines as in /proc/self/mounts.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        except OSError:
            return ""
    best, kind = "", ""
    real = os.path.realpath(path)
    for line in mounts:
        words = line.split(" ")
        if len(words) < 3:
            continue
        point = words[1].encode().decode("unicode_escape")
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, words[2]
    return kind


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (check_folders, check_store, check_emulator)
