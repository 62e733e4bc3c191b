"""Converts the parameters of a template's launch to a command line, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tandem.runners.dataflow.templates.metadata import SEPARATOR, metadata_of, parameter_flags
from tandem.runners.options.flags.flag import Flag
from tandem.runners.options.reading import Arguments
from tandem.schemas.errors import UserError

__all__ = ["flags_of_parameters", "parameters_of", "wrong_parameters"]

_TRUE: Final = "true"


def flags_of_parameters(name: str, words: Sequence[str]) -> list[str]:
    """A template's command line in the form of `tandem NAME`.

    A launcher passes each parameter once, as `--name=value`: a switch with its value, a repeatable flag with all of its
    values. Other words stay unchanged. Raises UserError for a switch that is neither.
    """
    by_name = {flag.dest: flag for flag in parameter_flags(name)}
    made = list[str]()
    for word in words:
        given, equals, value = word.partition("=")
        flag = by_name.get(given.removeprefix("--").replace("-", "_")) if equals and given.startswith("--") else None
        made.extend([word] if flag is None else _words(flag, value))
    return made


def _words(flag: Flag, value: str) -> list[str]:
    if flag.switch:
        said = value.strip().lower()
        if said not in (_TRUE, "false", ""):
            raise UserError(f"--{flag.name} {value[:80]!r}: it is true or false")
        return [f"--{flag.name}"] if said == _TRUE else []
    values = value.split(SEPARATOR) if flag.repeatable else [value]
    return [f"--{flag.name}={one}" for one in values]


def parameters_of(arguments: Arguments) -> dict[str, str]:
    """A command line's flags as a launch's parameters: given ones, and places from variables of the environment.

    Raises UserError for a flag that templates lack, and a value that can't be one of several.
    """
    by_name = {flag.dest: flag for flag in parameter_flags(arguments.command.name)}
    unknown = sorted(set(arguments.texts) - set(by_name))
    if unknown:
        raise UserError(f"--{unknown[0].replace('_', '-')} is for this machine; a template has no such parameter")
    return {dest: _value(by_name[dest], given) for dest, given in arguments.texts.items()}


def _value(flag: Flag, given: Any) -> str:
    if flag.switch:
        return _TRUE
    if not flag.repeatable:
        return str(given)
    for one in given:
        if SEPARATOR in one:
            raise UserError(
                f"--{flag.name} {one}: a template's parameter can't hold a {SEPARATOR!r}, it separates values"
            )
    return SEPARATOR.join(given)


def wrong_parameters(name: str, parameters: Mapping[str, str]) -> list[str]:
    """The errors that Dataflow would find in a launch's parameters, a line each: by the metadata, before anything is
    sent.
    """
    known = {one["name"]: one for one in metadata_of(name)["parameters"]}
    lines = [f"--{key}: template {name} has no such parameter" for key in sorted(set(parameters) - set(known))]
    for key, one in known.items():
        if key not in parameters:
            lines += [] if one["isOptional"] else [f"--{key} is missing: {one['helpText']}"]
            continue
        for pattern in one.get("regexes", ()):
            if not re.fullmatch(pattern, parameters[key]):
                lines.append(f"--{key} {parameters[key][:80]!r}: it must fit {pattern}")
    return lines
