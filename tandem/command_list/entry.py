"""A command as the command line lists it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Entry", "Flags"]


class Flags(Enum):
    """Whose the flags of a command are."""

    OWN = auto()
    """Its own; all others are unknown."""
    BEAM_TOO = auto()
    """Its own, and Beam's."""
    PIPELINE = auto()
    """Those of a pipeline, by the table of flags. Such a command decides itself what Ctrl-C and SIGTERM mean."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a group of them."""

    name: str
    function: str
    """PACKAGE.MODULE.FUNCTION below `tandem.commands`; empty for a group."""
    line: str
    """The first of its help, as lists of commands show it."""
    example: str = ""
    flags: Flags = Flags.OWN
    commands: tuple[Entry, ...] = ()
    """Of a group."""
    panel: str = ""
    """Heading in the list of commands."""
