"""The fields that a log's lines share: run, lane, generation, definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["current", "keep", "within"]

_PROCESS: Final[dict[str, Any]] = {}
_HERE: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar("tandem_log_context", default=None)


def keep(**fields: Any) -> None:
    """Add these fields to every line of this process from now on, on every thread; None removes one."""
    for name, value in fields.items():
        if value is None:
            _PROCESS.pop(name, None)
        else:
            _PROCESS[name] = value


@contextmanager
def within(**fields: Any) -> Iterator[None]:
    """Add these fields to lines of this thread within the context."""
    before = _HERE.set({**(_HERE.get() or {}), **fields})
    try:
        yield
    finally:
        _HERE.reset(before)


def current() -> dict[str, Any]:
    """The current fields; those of `within` take precedence over those of the process."""
    return {**_PROCESS, **(_HERE.get() or {})}
