"""One open view store per process and URL."""

from __future__ import annotations

import os
import threading
from typing import Final

from tandem.views.store import ViewStore

__all__ = ["open_store"]

_OPEN: Final[dict[tuple[int, str], ViewStore]] = {}
_LOCK: Final = threading.Lock()


def open_store(url: str) -> ViewStore:
    """The process's store at `url` opened or made at the first call. May raise StoreError."""
    # Connections must not be used across a fork, so a child opens its own.
    place = (os.getpid(), url)
    with _LOCK:
        if place not in _OPEN:
            _OPEN[place] = ViewStore(url)
        return _OPEN[place]
