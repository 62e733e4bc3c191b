"""Configuration of the live pipeline: Tandem's flags as a frozen value, the others as Beam's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.runners.options.beam import beam_options
from tandem.runners.options.definitions import definition_text, load_definitions
from tandem.runners.options.places import Home
from tandem.runners.options.reading import Arguments
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError

__all__ = ["LiveConfig", "config_of", "parse"]

_MOST_MESSAGES: Final = 50_000


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """Configuration of the live pipeline; durations in microseconds."""

    definitions: tuple[Definition, ...]
    definition_texts: tuple[str, ...]
    subscription: str
    home: Home
    lanes: int
    max_messages: int
    idle_timeout: int
    until_idle: int | None
    generation_interval: int
    take_over: bool
    resume: str | None
    screen: bool
    base: str | None = None
    """A finished batch run that isn't served yet, as the base, and to be published with the run."""
    shards: int | None = None
    """Parts of each tile; None: those of the resumed run, or else the runner's parallelism."""
    follow: bool = False
    """Whether to tail the journal that another run writes, instead of a subscription."""


def parse(arguments: Arguments) -> tuple[LiveConfig, PipelineOptions]:
    """A config, and Beam's options. Raises UserError."""
    arguments.check_required()
    if arguments["source"] != "journal":
        raise UserError("--source native is read by `tandem live` alone")
    for name in _OF_NATIVE:
        if arguments.has(name):
            raise UserError(f"--{name.replace('_', '-')} is of --source native")
    return config_of(arguments), beam_options(arguments)


def config_of(arguments: Arguments) -> LiveConfig:
    """The config of the flags, for any source. Raises UserError."""
    _check_source(arguments)
    most: int = arguments["max_messages"]
    if not 1 <= most <= _MOST_MESSAGES:
        raise UserError(f"--max-messages is {most}; from 1 to {_MOST_MESSAGES:,} are possible")
    return LiveConfig(
        definitions=load_definitions(arguments["definition"]),
        definition_texts=tuple(map(definition_text, arguments["definition"])),
        subscription=arguments["subscription"] or "",
        home=arguments.home,
        lanes=arguments["lanes"],
        max_messages=most,
        idle_timeout=arguments["idle_timeout"],
        until_idle=arguments["until_idle"],
        generation_interval=arguments["generation_interval"],
        take_over=arguments["take_over"],
        resume=arguments["resume"],
        screen=not arguments["no_screen"],
        base=arguments["base"],
        shards=arguments["shards"],
        follow=arguments["follow"],
    )


_OF_NATIVE: Final = ("dead_letter_topic", "id_label")
_OF_WRITERS: Final = ("subscription", "take_over", "resume", "lanes", "max_messages", "generation_interval")
"""Flags without effect on a follower."""


def _check_source(arguments: Arguments) -> None:
    """Require a subscription, or a journal to follow, with the flags of either."""
    if not arguments["follow"] and not arguments.has("subscription"):
        raise UserError("--subscription is missing (or --follow, to tail the journal of another run)")
    for name in _OF_WRITERS:
        if arguments["follow"] and arguments.has(name):
            flag = name.replace("_", "-")
            raise UserError(f"--follow and --{flag} exclude each other: a follower reads the journal, and writes none")
