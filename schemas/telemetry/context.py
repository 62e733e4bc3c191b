"""What the lines of a log are about: run, lane, generation, definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["current", "keep", "within"]

_PROCESS: Final[dict[str, Any]] = {}
_HERE: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar("tandem_log_context", default=None)


def keep(**fields: Any) -> None:
    """From now on every line of this process has these fields, whichever thread says it; None takes one away."""
    for name, value in fields.items():
        if value is None:
            _PROCESS.pop(name, None)
        else:
            _PROCESS[name] = value


@contextmanager
def within(**fields: Any) -> Iterator[None]:
    """Lines of this thread have these fields too, while this lasts."""
    before = _HERE.set({**(_HERE.get() or {}), **fields})
    try:
        yield
    finally:
        _HERE.reset(before)


def current() -> dict[str, Any]:
    """The fields by now; what is nearer comes before what is of the process."""
    return {**_PROCESS, **(_HERE.get() or {})}
