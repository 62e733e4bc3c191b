"""A command's entry in the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Entry", "Flags"]


class Flags(Enum):
    """The flags that a command takes."""

    OWN = auto()
    """Its own flags; others are errors."""
    BEAM_TOO = auto()
    """Its own flags, and Beam's."""
    PIPELINE = auto()
    """A pipeline's flags, from the table of flags. Such a command handles Ctrl-C and SIGTERM itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a group of them."""

    name: str
    function: str
    """PACKAGE.MODULE.FUNCTION below `tandem.commands`; '' for a group."""
    line: str
    """The first line of its help, as in lists of commands."""
    example: str = ""
    flags: Flags = Flags.OWN
    commands: tuple[Entry, ...] = ()
    """The commands of a group."""
    panel: str = ""
    """The heading in the list of commands."""
