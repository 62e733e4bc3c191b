"""Unix sockets that only this user can reach, for servers and clients on this machine.

A port of 127.0.0.1 is closed to other hosts, but open to every user of this one. A socket in a folder of mode 0700 is
reached by its owner alone (and by root).
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

__all__ = ["private_socket"]

_LONGEST: Final = 100
"""Most bytes of a socket's path: systems take 104 or 108, including the final zero."""
_FOLDERS: Final[list[tuple[int, Path, int]]] = []
"""This process's folder, if any: (process, folder, descriptor that holds its lock)."""
_NUMBERS: Final = count(1)
_LOCK: Final = threading.Lock()


def private_socket() -> Path:
    """A path for a new socket, in a folder of this process that no other user can enter. Raises OSError.

    The folder is removed when the process ends; the next process removes the folders of killed ones.
    """
    with _LOCK:
        if not _FOLDERS or _FOLDERS[0][0] != os.getpid():
            _FOLDERS[:] = [_made()]
        return _FOLDERS[0][1] / str(next(_NUMBERS))


def _made() -> tuple[int, Path, int]:
    prefix = f"tandem-{os.getuid()}-"
    root = tempfile.gettempdir()
    if len(os.fsencode(os.path.join(root, prefix))) > _LONGEST - 20:
        root = "/tmp"
    _sweep(Path(root), prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    # The lock distinguishes a folder in use from an abandoned one, also for programs that clean /tmp by age.
    fcntl.flock(held, fcntl.LOCK_EX)
    atexit.register(_remove, os.getpid(), folder)
    return os.getpid(), folder, held


def _remove(process: int, folder: Path) -> None:
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path, prefix: str) -> None:
    for folder in root.glob(f"{prefix}*"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(held).st_uid == os.getuid():
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
