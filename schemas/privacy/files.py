"""Creates files that only their owner can read, whatever the umask; in shared folders their group can, too.

A shared folder is writable by its group, which its files inherit (mode 2770): `tandem private --group` makes a home so.
Files and folders created in it are shared as well.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tandem.schemas.errors import UserError

__all__ = ["is_shared", "make_folder", "need_folder", "private", "set_mode", "wanted_mode", "wider"]

_SHARED: Final = stat.S_ISGID | stat.S_IWGRP


def is_shared(folder: int) -> bool:
    """Whether a folder of this mode is shared with its group."""
    return folder & _SHARED == _SHARED


def wanted_mode(mode: int, shared: bool) -> int:
    """The mode that a file or folder of this mode should have."""
    if stat.S_ISDIR(mode):
        return 0o2770 if shared else 0o700
    return (0o660 if shared else 0o600) | (mode & 0o100)


def private(path: str | os.PathLike[str] | bytes, flags: int) -> int:
    """An opener for `open`: files that it creates are private, or shared with the folder's group."""
    descriptor = os.open(path, flags, 0o600)
    with suppress(OSError):  # a file system without modes, or another's file
        if flags & os.O_CREAT and is_shared(os.stat(os.path.dirname(os.fsdecode(path)) or ".").st_mode):
            os.fchmod(descriptor, 0o660)
    return descriptor


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Create a folder, and missing ones above it; existing ones stay as they are."""
    path = Path(folder)
    if path.is_dir():
        return
    make_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        if is_shared(path.parent.stat().st_mode):
            path.chmod(0o2770)
    if not path.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(path))


def need_folder(folder: str | os.PathLike[str]) -> None:
    """Create a folder that a user has named, as `make_folder`. Raises UserError where it can't be created."""
    try:
        make_folder(folder)
    except OSError as error:
        raise UserError(f"{os.fspath(folder)}: this folder can't be made: {error.strerror}") from None


def wider(
    root: str,
    *,
    limit: int | None = None,
    shared: bool | None = None,
    everything: bool = False,
    within: Callable[[str], bool] | None = None,
) -> Iterator[tuple[str, int]]:
    """(path, mode) of each file and folder from `root` on, itself included, that is accessible to more users than it
    should be.

    `shared`: whether their group may access them; by default as the root, or a file's folder, is. `everything`: yield
    all. `within`: a filter of the paths directly below the root. Breadth first; ends after `limit` entries.
    """
    if shared is None:
        shared = is_shared(os.stat(root if os.path.isdir(root) else os.path.dirname(root)).st_mode)
    waiting, seen = deque([root]), 0
    while waiting and (limit is None or seen < limit):
        path, seen = waiting.popleft(), seen + 1
        with suppress(FileNotFoundError):  # a run that goes on removes files
            mode = os.lstat(path).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                continue
            if everything or mode & 0o777 & ~wanted_mode(mode, shared):
                yield path, mode
            if stat.S_ISDIR(mode):
                with os.scandir(path) as entries:
                    below = sorted(entry.path for entry in entries)
                waiting += filter(within, below) if path == root and within is not None else below


def set_mode(path: str, mode: int, *, shared: bool) -> bool:
    """Set the mode that a path of this mode should have; returns whether it had another."""
    with suppress(FileNotFoundError):
        os.chmod(path, wanted_mode(mode, shared))
    return stat.S_IMODE(mode) != wanted_mode(mode, shared)
