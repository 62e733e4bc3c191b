"""What one look gave."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "State"]


class State(StrEnum):
    """How a finding stands."""

    OK = "ok"
    NOTE = "note"
    """Something that only some need is missing, or there is nothing to look at yet."""
    WARNING = "warning"
    """It works, and won't for ever."""
    ERROR = "error"
    """Something can't work as it is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    state: State
    what: str
    fix: str = ""
    """The command, or what to do; of everything but OK."""
