"""A temporary folder for a running pipeline, removed when it ends, however it ended."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

from tandem.formats.files.pieces import storage_of
from tandem.runners.submission.interrupts import also_at_once
from tandem.schemas.privacy.files import need_folder, private

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(root: str, name: str) -> Iterator[str]:
    """A fresh folder `name` in `root`, a folder or a URI that all workers reach; removed at the end.

    The next process on this machine removes the folders of killed ones: a folder is in use as long as a process holds
    the lock of the file beside it.
    """
    if "://" in root:
        yield from _remote(f"{root}/{name}")
        return
    need_folder(root)
    _sweep(Path(root))
    folder, lock = Path(root, name), Path(root, f"{name}.lock")
    with open(lock, "w", opener=private) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        need_folder(folder)
        try:
            with also_at_once(lambda: _remove(folder, lock)):
                yield str(folder)
        finally:
            _remove(folder, lock)


def _remove(folder: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.unlink(missing_ok=True)


def _remote(uri: str) -> Iterator[str]:
    system, inner = storage_of(uri)
    system.create_dir(inner)
    try:
        yield uri
    finally:
        if system.get_file_info(inner).type is fs.FileType.Directory:
            system.delete_dir(inner)


def _sweep(root: Path) -> None:
    for lock in root.glob("*.lock"):
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            _remove(lock.with_suffix(""), lock)
