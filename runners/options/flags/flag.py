"""One flag of the command line, and one command that takes flags, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Command", "Flag", "Group"]


class Group(StrEnum):
    """The subject of a flag, a heading of the help."""

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
    """One flag. Two flags with one name belong to different commands, and have similar meanings."""

    name: str
    """With hyphens; `--some_name`, Beam's way of writing it, is the same flag."""
    takes: tuple[str, ...]
    """The commands that have it."""
    group: Group
    help: str
    metavar: str = ""
    """Placeholder for the value in help; empty: a switch, which has none."""
    read: Callable[[str], Any] = str
    """Converts a text to the value. Raises ValueError, or UserError where the message names the flag itself."""
    default: str | None = None
    """A text for `read`; None: no value."""
    otherwise: str = ""
    """The effect of leaving the flag out, in words, where `default` doesn't show it."""
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    required: bool = False
    bare: str | None = None
    """The value of a flag without one, where it may stand alone; empty: an error about the missing value."""
    variable: str | None = None
    """Variable of the environment; it takes precedence over `default`."""
    secret: bool = False
    """Whether the value may hold a password: then it is never among the options of a job, which its runner shows."""
    of_beam: bool = False
    """Whether Beam has an option of this name, which a launch uses itself."""
    pattern: str | None = None
    """Matches every valid text, for forms that check it before a launch."""

    @property
    def dest(self) -> str:
        """The flag's name in Python."""
        return self.name.replace("-", "_")

    @property
    def spellings(self) -> tuple[str, ...]:
        """`--some-name`, and `--some_name`."""
        return tuple(dict.fromkeys((f"--{self.name}", f"--{self.dest}")))

    @property
    def switch(self) -> bool:
        """Whether the flag has no value."""
        return not self.metavar

    @property
    def without(self) -> str:
        """The effect of leaving the flag out, in words; empty where it is obvious."""
        return "required" if self.required else self.otherwise or self.default or ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command whose flags are in the table; other flags go to Beam."""

    name: str
    about: str
    example: str
    """A shell command, without line breaks."""
    positional: str | None = None
    """The flag whose value may be given as the first word."""
    rest: str | None = None
    """The flag whose values may be given as the words after that one, up to the first flag."""
