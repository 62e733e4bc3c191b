"""What the live pipeline is told: Tandem's flags as a frozen config, the others as Beam's options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.clocks import SECOND
from tandem.runners.options.config import (
    FlagParser,
    Home,
    add_definition_flag,
    add_home_flags,
    beam_options,
    definition_text,
    duration,
    home_from,
    load_definitions,
)
from tandem.runners.options.shards import SHARDS_HELP, shard_count
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError

__all__ = ["LiveConfig", "parse"]

_MOST_MESSAGES: Final = 50_000


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """All that the live pipeline is told; durations in microseconds."""

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
    """A batch run that is built and not served yet, to stand on and to be served with."""
    shards: int | None = None
    """Parts of each tile; None: as the run that is resumed has them, or else as many as the runner is parallel."""
    follow: bool = False
    """Tail the journal that another run writes, instead of a subscription."""


def parse(arguments: Sequence[str]) -> tuple[LiveConfig, PipelineOptions]:
    """Tandem's flags as a config, the others as Beam's options. Raises UserError."""
    parser = FlagParser("tandem live", "Run definitions over a Pub/Sub subscription.")
    add_definition_flag(parser, several=True)
    add_home_flags(parser)
    parser.flag("subscription", help="projects/PROJECT/subscriptions/NAME")
    parser.flag("source", choices=("journal", "native"), default="journal", help="native: Beam's own read, on Dataflow")
    parser.flag("follow", action="store_true", help="tail the journal of another run; pulls nothing, writes no journal")
    parser.flag("lanes", type=int, help="readers of the subscription, each a lane of the journal")
    parser.flag("max-messages", type=int, help="messages a pull, so a segment, at the most")
    parser.flag("shards", type=shard_count, help=SHARDS_HELP)
    parser.flag("idle-timeout", type=duration, default="10s", help="after that the watermark moves without events")
    parser.flag("until-idle", type=duration, help="end after this long without messages (e.g. 15s)")
    parser.flag("generation-interval", type=duration, help="how often a generation is sealed")
    parser.flag("take-over", action="store_true", help="replace a run that is alive; it ends with exit code 75")
    parser.flag("resume", metavar="RUN", help="restart this run from the runner's own checkpoint or savepoint")
    parser.flag("base", metavar="BATCH_RUN", help="stand on this batch run; both are served once live has caught up")
    parser.flag("no-screen", action="store_true", help="no live screen, even on a terminal")
    flags, rest = parser.parse_known_args(list(arguments))
    _check_source(flags)
    if not 1 <= flags.max_messages <= _MOST_MESSAGES:
        raise UserError(f"--max-messages is {flags.max_messages}; from 1 to {_MOST_MESSAGES:,} are possible")
    config = LiveConfig(
        definitions=load_definitions(flags.definition),
        definition_texts=tuple(map(definition_text, flags.definition)),
        subscription=flags.subscription,
        home=home_from(flags),
        lanes=flags.lanes,
        max_messages=flags.max_messages,
        idle_timeout=flags.idle_timeout,
        until_idle=flags.until_idle,
        generation_interval=flags.generation_interval,
        take_over=flags.take_over,
        resume=flags.resume,
        screen=not flags.no_screen,
        base=flags.base,
        shards=flags.shards,
        follow=flags.follow,
    )
    return config, beam_options(rest)


_OF_WRITERS: Final[dict[str, Any]] = {"lanes": 1, "max_messages": 10_000, "generation_interval": 60 * SECOND}
"""Flags that a follower has no use for, with their defaults."""


def _check_source(flags: argparse.Namespace) -> None:
    """A subscription or a journal to follow, and the flags of that; sets defaults."""
    if flags.source != "journal":
        raise UserError("--source native is read by `tandem live` alone")
    if not flags.follow and flags.subscription is None:
        raise UserError("--subscription is missing (or --follow, to tail the journal of another run)")
    for name in ("subscription", "take_over", "resume", *_OF_WRITERS):
        if flags.follow and getattr(flags, name):
            flag = name.replace("_", "-")
            raise UserError(f"--follow and --{flag} exclude each other: a follower reads the journal, and writes none")
    flags.subscription = flags.subscription or ""
    for name, default in _OF_WRITERS.items():
        if getattr(flags, name) is None:
            setattr(flags, name, default)
