"""The flags of a backfill."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.pipelines.bounded.max_bad import DEFAULT_MAX_BAD, max_bad
from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.runners.options.config import (
    FlagParser,
    add_definition_flag,
    add_home_flags,
    add_memory_flag,
    beam_options,
    definition_text,
    duration,
    home_from,
    load_definitions,
    scratch_below,
)
from tandem.runners.options.shards import SHARDS_HELP, shard_count, shards_for
from tandem.runners.submission.launching import is_local
from tandem.schemas.errors import UserError
from tandem.schemas.time.instants import instant_of

__all__ = ["parse"]


def _parser() -> FlagParser:
    parser = FlagParser("tandem backfill", "Run definitions over files and sealed generations of the journal.")
    add_definition_flag(parser, several=True)
    add_home_flags(parser)
    parser.flag("files", action="append", default=[], metavar="GLOB", help="data files; repeatable")
    add_memory_flag(parser)
    parser.flag(
        "complete-until",
        type=_instant,
        metavar="TIME",
        help="the files hold every event before this time (default: the time of their newest event)",
    )
    parser.flag(
        "max-bad",
        type=max_bad,
        default=DEFAULT_MAX_BAD,
        metavar="SHARE",
        help="publish nothing if more of what is read is bad: a share, as 1%%, or a number of records (default: 1%%)",
    )
    parser.flag("upto", type=int, help="last generation of the journal to take in (default: the last sealed one)")
    parser.flag("no-publish", action="store_true", help="build the batch run, but serve it later")
    parser.flag("publish-wait", type=duration, default="60s", help="how long to wait for live to catch up")
    parser.flag("promote", action="store_true", help="serve this version although another is being served")
    parser.flag("accept-missing-files", action="store_true", help="promote without all files that are being served")
    parser.flag("copies", action="store_true", help="also read files whose content was read under another name")
    parser.flag(
        "accept-dead-letters", action="store_true", help="promote although it can't read all that the served one reads"
    )
    parser.flag(
        "accept-missing-segments",
        action="store_true",
        help="go past segments that are gone from the journal; answers are PARTIAL from then on",
    )
    parser.flag("workers", type=int, default=0, help="processes on this machine (default: up to one a core)")
    parser.flag("shards", type=shard_count, help=SHARDS_HELP)
    parser.flag("scratch", help="folder, or URI, that all workers reach (default: HOME/scratch on this machine)")
    return parser


def parse(arguments: Sequence[str]) -> tuple[tuple[BackfillConfig, ...], PipelineOptions]:
    """Tandem's flags as a config for each definition, the others as Beam's options. Raises UserError."""
    flags, rest = _parser().parse_known_args(list(arguments))
    options = beam_options(rest)
    if flags.workers < 0:
        raise UserError(f"--workers is {flags.workers}; it is a number of processes, or 0 to choose by the input")
    if flags.workers and not is_local(options):
        raise UserError("--workers is for this machine; other runners have flags of their own")
    texts = map(definition_text, flags.definition)
    configs = tuple(
        BackfillConfig(
            definition=definition,
            definition_text=text,
            files=tuple(flags.files),
            home=home_from(flags),
            upto=flags.upto,
            publish=not flags.no_publish,
            publish_wait=flags.publish_wait,
            promote=flags.promote,
            accept_missing_files=flags.accept_missing_files,
            copies=flags.copies,
            scratch=_scratch(flags, options),
            shards=shards_for(flags.shards, options),
            workers=flags.workers,
            piece_memory=flags.max_piece_memory,
            complete_until=flags.complete_until,
            max_bad=flags.max_bad,
            accept_dead_letters=flags.accept_dead_letters,
            accept_missing_segments=flags.accept_missing_segments,
        )
        for definition, text in zip(load_definitions(flags.definition), texts, strict=True)
    )
    return configs, options


def _instant(text: str) -> int:
    try:
        return instant_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _scratch(flags: argparse.Namespace, options: PipelineOptions) -> str | None:
    if flags.scratch:
        return str(flags.scratch) if "://" in flags.scratch else os.path.abspath(flags.scratch)
    return scratch_below(flags.home) if is_local(options) else None
