"""A finding of `tandem doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "State"]


class State(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    NOTE = "note"
    """An optional part is missing, or there is nothing to check yet."""
    WARNING = "warning"
    """It works, but won't for ever."""
    ERROR = "error"
    """Something can't work in this state."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    about: str
    state: State
    what: str
    fix: str = ""
    """A command or an instruction; for every state but OK."""
