"""One open view store per process and URL."""

from __future__ import annotations

import os
import threading
from typing import Final

from tandem.views.store import ViewStore

__all__ = ["close_store", "open_store"]

_OPEN: Final[dict[tuple[int, str], ViewStore]] = {}
_LOCK: Final = threading.Lock()


def open_store(url: str) -> ViewStore:
    """The process's store at `url`, opened or created at the first call. May raise StoreError."""
    # Connections must not be used across a fork, so a child opens its own.
    place = (os.getpid(), url)
    with _LOCK:
        if place not in _OPEN:
            _OPEN[place] = ViewStore(url)
        return _OPEN[place]


def close_store(url: str) -> None:
    """Close the process's store at `url`, if it is open."""
    with _LOCK:
        found = _OPEN.pop((os.getpid(), url), None)
    if found is not None:
        found.close()
