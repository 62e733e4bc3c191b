"""Tandem's flags as Beam options, and the check of Beam's own flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from tandem.runners.options.flags.table import FLAGS, flag_named
from tandem.runners.options.opened_patterns import is_like, way_to_give
from tandem.runners.options.reading import Arguments
from tandem.schemas.errors import UserError

__all__ = ["TandemOptions", "beam_options", "known_flags", "options_of_beam"]

_PORTABLE_RUNNERS: Final = ("FlinkRunner", "SparkRunner", "PortableRunner")
_OF_BEAM: Final = {flag.dest for flag in FLAGS if flag.of_beam}
_SHOWN: Final = {flag.dest: flag for flag in FLAGS if not flag.secret and flag.dest not in _OF_BEAM}


class TandemOptions(PipelineOptions):  # type: ignore[misc]
    """All of Tandem's flags without secrets, each once, as the options of a job.

    The only subclass of Tandem's: a second one with a flag of the same name would break every `PipelineOptions(...)` of
    the process.
    """

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        for name, flag in sorted(_SHOWN.items()):
            how = "store_true" if flag.switch else "append" if _repeatable(name) else "store"
            parser.add_argument(*flag.spellings, dest=name, action=how, help=flag.help)


def _repeatable(name: str) -> bool:
    return any(flag.repeatable for flag in FLAGS if flag.dest == name)


def beam_options(arguments: Arguments) -> PipelineOptions:
    """Beam's options, including Tandem's own flags, as the runner's pages show them.

    Raises UserError for flags that neither Tandem, nor Beam, nor a portable runner could know.
    """
    words = list(arguments.beam)
    options, unknown = _read(words)
    runner = options.view_as(StandardOptions).runner or ""
    stray = _stray(arguments, unknown) if runner in _PORTABLE_RUNNERS else next(iter(unknown), None)
    if stray is not None:
        raise UserError(_unknown(arguments, stray))
    shown = options.view_as(TandemOptions)
    for name in arguments.texts.keys() & _SHOWN.keys():
        setattr(shown, name, arguments.texts[name])
    return options


def options_of_beam(words: Sequence[str]) -> PipelineOptions:
    """Options from Beam's flags alone. Raises UserError for another flag, and for a value that a flag can't have."""
    options, unknown = _read(words)
    if unknown:
        raise UserError(f"{unknown[0][:80]!r} is no flag of Beam's")
    return options


def _read(words: Sequence[str]) -> tuple[PipelineOptions, list[str]]:
    """(options, words that Beam doesn't know). Raises UserError where Beam would print its usage, and exit."""
    try:
        _, unknown = _beam_parser().parse_known_args(list(words))
    except (argparse.ArgumentError, SystemExit) as error:
        raise UserError(f"wrong flag: {error}") from error
    return PipelineOptions(list(words)), unknown


def _stray(arguments: Arguments, unknown: Sequence[str]) -> str | None:
    """A word that can't be a flag that only a portable runner knows, nor its value; None without any."""
    files = (*_given(arguments, "files"), *_given(arguments, "definition"))
    for at, word in enumerate(unknown):
        follows = at > 0 and unknown[at - 1].startswith("--") and "=" not in unknown[at - 1]
        if not word.startswith("-") and (not follows or is_like(word, files)):
            return word
    return None


def _unknown(arguments: Arguments, word: str) -> str:
    if word.startswith("-"):
        return f"unknown flag {word!r}; neither Tandem nor Beam has it"
    definitions = _given(arguments, "definition")
    if is_like(word, definitions):
        several = flag_named(arguments.command.name, "definition").repeatable
        way = "--definition stands before each" if several else "one definition is given"
        return f"{word!r} follows no flag; {way}"
    if not _given(arguments, "files"):
        return f"{word!r} follows no flag that takes it"
    # Most likely the shell has opened a pattern: --files takes its first file alone.
    return f"{word!r} follows no flag; {way_to_give(word)}"


def _given(arguments: Arguments, name: str) -> Sequence[str]:
    """What a flag was given, or flags of a name were; nothing where the command has none."""
    given = arguments.texts.get(name) or ()
    return (given,) if isinstance(given, str) else tuple(map(str, given))


def _beam_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        conflict_handler="resolve", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    for group in PipelineOptions.__subclasses__():
        if group is not TandemOptions:
            group._add_argparse_args(parser)
    return parser


@cache
def known_flags() -> frozenset[str]:
    """The names of all options that Beam's Python side knows, with underscores."""
    flags = (flag for action in _beam_parser()._actions for flag in action.option_strings if flag.startswith("--"))
    return frozenset(flag[2:].replace("-", "_") for flag in flags)
