"""A command line, read once by the table of flags, without Beam."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final, NoReturn

from tandem.runners.options.flags.commands import COMMANDS
from tandem.runners.options.flags.flag import Command, Flag
from tandem.runners.options.flags.table import flag_named, flags_of
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

__all__ = ["Arguments", "read_arguments", "wants_help"]

_HELP: Final = frozenset({"-h", "--help"})
_TYPES: Final[dict[Any, str]] = {int: "int", float: "float"}


@dataclass(frozen=True, slots=True)
class Arguments:
    """A parsed command line."""

    command: Command
    values: Mapping[str, Any]
    """Values of Tandem's flags, by their names in Python; defaults for absent flags."""
    texts: Mapping[str, Any] = field(default_factory=dict)
    """The given flags in their given form: a text, several, or True for a switch."""
    beam: tuple[str, ...] = ()
    """All words that aren't Tandem's."""

    @classmethod
    def of(cls, command: str, values: Mapping[str, Any], beam: Sequence[str] = ()) -> Arguments:
        """Arguments of values that were read elsewhere; None stands for an absent flag."""
        given = {name: value for name, value in values.items() if value is not None}
        return cls(COMMANDS[command], {**_defaults(command), **given}, given, tuple(beam))

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def has(self, name: str) -> bool:
        """Whether the flag was given."""
        return name in self.texts

    @property
    def home(self) -> Home:
        """The places. Raises UserError for an invalid view store."""
        return Home.of(self["home"], self["store"], self["journal"], self["dead_letters"])

    def with_beam(self, *flags: str) -> Arguments:
        """A copy with further flags of Beam."""
        return replace(self, beam=(*self.beam, *flags))

    def with_value(self, name: str, text: str) -> Arguments:
        """A copy in which one flag is given."""
        flag = flag_named(self.command.name, name)
        return replace(self, values={**self.values, name: flag.read(text)}, texts={**self.texts, name: text})

    def check_required(self) -> Arguments:
        """The arguments themselves. Raises UserError for a missing required flag."""
        missing = [flag for flag in flags_of(self.command.name) if flag.required and not self.has(flag.dest)]
        if missing:
            names = ", ".join("/".join(flag.spellings) for flag in missing)
            raise UserError(f"the following arguments are required: {names}; {_see(self.command)}")
        return self


def read_arguments(command: str, words: Sequence[str]) -> Arguments:
    """Parse the words after a command's name. Raises UserError for a value that its flag doesn't take.

    Required flags are checked later (`check_required`), so that errors about the runner come first.
    """
    about = COMMANDS[command]
    found, rest = _parser(about).parse_known_args(_named(about, words))
    values, texts = _defaults(command), dict[str, Any]()
    for name, read in vars(found).items():
        several = isinstance(read, list)
        values[name] = [one.value for one in read] if several else getattr(read, "value", read)
        texts[name] = [one.text for one in read] if several else getattr(read, "text", read)
        if texts[name] == "" and flag_named(command, name).bare == "":
            raise UserError(f"--{name} needs a value")
    return Arguments(about, values, texts, tuple(rest))


def _named(command: Command, words: Sequence[str]) -> list[str]:
    """The words, with the names of flags inserted before values that stand alone."""
    plain = list(takewhile(lambda word: not word.startswith("-"), words))
    taken = len(plain) if command.rest else min(len(plain), 1)
    if command.positional is None or not taken:
        return list(words)
    named = [f"--{command.positional}={plain[0]}", *(f"--{command.rest}={word}" for word in plain[1:taken])]
    return [*named, *words[taken:]]


def wants_help(words: Sequence[str]) -> bool:
    """Whether the words request help."""
    return not _HELP.isdisjoint(words)


def _defaults(command: str) -> dict[str, Any]:
    return {flag.dest: _default(flag) for flag in flags_of(command)}


def _default(flag: Flag) -> Any:
    if flag.switch or flag.repeatable:
        return [] if flag.repeatable else False
    text = os.environ.get(flag.variable, flag.default) if flag.variable else flag.default
    return flag.read(text) if text is not None else None


@dataclass(frozen=True, slots=True)
class _Read:
    """A value, and its text."""

    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """argparse's reader of a flag's text."""

    flag: Flag

    def __call__(self, text: str) -> _Read:
        if self.flag.choices and text not in self.flag.choices:
            known = ", ".join(map(repr, self.flag.choices))
            raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {known})")
        try:
            return _Read(self.flag.read(text), text)
        except ValueError as error:
            kind = _TYPES.get(self.flag.read)
            message = f"invalid {kind} value: {text!r}" if kind else str(error)
            raise argparse.ArgumentTypeError(message) from None


def _parser(command: Command) -> _Parser:
    parser = _Parser(command)
    for flag in flags_of(command.name):
        settings: dict[str, Any] = {"dest": flag.dest, "default": argparse.SUPPRESS}
        if flag.switch:
            parser.add_argument(*flag.spellings, action="store_true", **settings)
            continue
        settings |= {"type": _Reader(flag), "action": "append" if flag.repeatable else "store"}
        if flag.bare is not None:
            settings |= {"nargs": "?", "const": _Read(flag.read(flag.bare), flag.bare)}
        parser.add_argument(*flag.spellings, **settings)
    return parser


def _see(command: Command) -> str:
    return f"see `tandem {command.name} --help`"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are UserErrors instead of usage and exit."""

    def __init__(self, command: Command) -> None:
        super().__init__(prog=f"tandem {command.name}", allow_abbrev=False, add_help=False)
        self._command = command

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {_see(self._command)}")
