"""Finds Prism on this machine, and distinguishes a bound one from Beam's.

Beam's Prism listens on all interfaces, without credentials: its clients can run code as the user who started it.
Tandem's own build (runners/local/prism.py) listens at a given socket, or at loopback.
"""

from __future__ import annotations

import mmap
import platform
import zipfile
from pathlib import Path
from typing import Final

from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.version import __version__ as beam_version

__all__ = ["SOCKET", "bound_path", "cache_folder", "cached_binary", "downloaded_binary", "downloaded_name", "is_bound"]

SOCKET: Final = "TANDEM_PRISM_SOCKET"
"""Environment variable of a bound Prism: the path of its Unix socket; without it, it listens at loopback. The
variable's name in a binary distinguishes a bound one from Beam's."""
_REVISION: Final = 2
"""Revision of the patches of Beam's source: each one is built separately."""


def cache_folder() -> Path:
    """Beam's own cache."""
    return Path(PrismJobServer.BIN_CACHE)


def bound_path() -> Path:
    """The path of the bound Prism of this version of Beam."""
    return cache_folder() / f"tandem-prism-{_REVISION}-v{beam_version}-{_system()}"


def downloaded_name() -> str:
    """Beam's name of its binary for this machine; with .zip of the download."""
    return f"apache_beam-v{beam_version}-prism-{_system()}"


def cached_binary() -> Path | None:
    """The bound Prism, or None."""
    return bound_path() if bound_path().is_file() and is_bound(bound_path()) else None


def downloaded_binary() -> Path | None:
    """Beam's own Prism in its cache, or None."""
    found = [cache_folder() / f"{downloaded_name()}.zip", cache_folder() / downloaded_name()]
    return next((path for path in found if path.is_file()), None)


def is_bound(path: Path) -> bool:
    """Whether this binary, or the one in this zip file, listens only at a given address. Raises OSError."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(SOCKET.encode() in archive.read(name) for name in archive.namelist())
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(SOCKET.encode()) >= 0


def _system() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"{platform.system().lower()}-{machine}"
