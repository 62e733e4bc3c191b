"""One flag of the command line, and one command that takes flags, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Command", "Flag", "Group"]


class Group(StrEnum):
    """What a flag is about: the heading that it stands below in help."""

    WHAT = "What is run"
    INPUT = "Input"
    OUTPUT = "Output"
    PACE = "Pace and size"
    RUNS = "Runs and versions"
    MISSING = "What may be missing"
    PLACES = "Places"
    LAUNCH = "Launch"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. Two of one name are of different commands, and mean the like."""

    name: str
    """With hyphens; `--some_name`, Beam's way of writing it, is the same flag."""
    takes: tuple[str, ...]
    """The commands that have it."""
    group: Group
    help: str
    metavar: str = ""
    """What stands for the value; empty: a switch, which has none."""
    read: Callable[[str], Any] = str
    """A text as its value. Raises ValueError, or UserError where the message names the flag itself."""
    default: str | None = None
    """As a text that `read` takes; None: no value."""
    otherwise: str = ""
    """What goes without the flag, where `default` doesn't say it."""
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    required: bool = False
    bare: str | None = None
    """The value of the flag without one, where it may stand alone; empty: it is said that a value is missing."""
    variable: str | None = None
    """Of the environment; it comes before `default`."""
    secret: bool = False
    """May hold a password: never among the options of a job, which its runner shows."""
    of_beam: bool = False
    """Beam has an option of this name, which a launch takes for itself."""
    pattern: str | None = None
    """Of every text that can be right, for a form that checks it before anything is started."""

    @property
    def dest(self) -> str:
        """Its name in Python."""
        return self.name.replace("-", "_")

    @property
    def spellings(self) -> tuple[str, ...]:
        """`--some-name`, and `--some_name`."""
        return tuple(dict.fromkeys((f"--{self.name}", f"--{self.dest}")))

    @property
    def switch(self) -> bool:
        """Whether it has no value."""
        return not self.metavar

    @property
    def without(self) -> str:
        """What goes without the flag, in words; empty where that goes without saying."""
        return "required" if self.required else self.otherwise or self.default or ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command whose flags are in the table; what isn't there goes to Beam."""

    name: str
    about: str
    example: str
    """A line of a shell, without line breaks."""
    positional: str | None = None
    """The flag whose value may be the first word."""
    rest: str | None = None
    """The flag whose values the words after that one may be, up to the first flag."""
