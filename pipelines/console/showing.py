"""Shows progress while a pipeline runs, in a thread that ends with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["shown_beside"]

_LAST_WORDS: Final = 5.0
"""Seconds until the thread must have ended."""


@contextmanager
def shown_beside(show: Callable[[threading.Event], None]) -> Iterator[None]:
    """Call `show` in a thread beside the body, with an event that is set when the body ends."""
    stop = threading.Event()
    thread = threading.Thread(target=show, args=(stop,), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=_LAST_WORDS)
