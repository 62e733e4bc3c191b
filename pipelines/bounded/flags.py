"""The flags of a backfill."""

from __future__ import annotations

import os

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.runners.options.beam import beam_options
from tandem.runners.options.definitions import definition_text, load_definitions
from tandem.runners.options.places import scratch_below
from tandem.runners.options.reading import Arguments
from tandem.runners.options.shards import shards_for
from tandem.runners.submission.launching import is_local
from tandem.schemas.errors import UserError
from tandem.storage.urls import place_of

__all__ = ["parse"]


def parse(arguments: Arguments) -> tuple[tuple[BackfillConfig, ...], PipelineOptions]:
    """A config for each definition, and Beam's options. Raises UserError."""
    options = beam_options(arguments.check_required())
    workers = arguments["workers"]
    if workers < 0:
        raise UserError(f"--workers is {workers}; it is a number of processes, or 0 to choose by the input")
    if workers and not is_local(options):
        raise UserError("--workers is for this machine; other runners have flags of their own")
    texts = map(definition_text, arguments["definition"])
    configs = tuple(
        BackfillConfig(
            definition=definition,
            definition_text=text,
            files=tuple(arguments["files"]),
            home=arguments.home,
            upto=arguments["upto"],
            publish=not arguments["no_publish"],
            publish_wait=arguments["publish_wait"],
            promote=arguments["promote"],
            accept_missing_files=arguments["accept_missing_files"],
            copies=arguments["copies"],
            scratch=_scratch(arguments, options),
            shards=shards_for(arguments["shards"], options),
            workers=workers,
            piece_memory=arguments["max_piece_memory"],
            complete_until=arguments["complete_until"],
            max_bad=arguments["max_bad"],
            accept_dead_letters=arguments["accept_dead_letters"],
            accept_missing_segments=arguments["accept_missing_segments"],
            layer_threshold=arguments["layer_threshold"],
            layers=place_of(arguments["layers"], "--layers") if arguments["layers"] else None,
        )
        for definition, text in zip(load_definitions(arguments["definition"]), texts, strict=True)
    )
    return configs, options


def _scratch(arguments: Arguments, options: PipelineOptions) -> str | None:
    given: str | None = arguments["scratch"]
    if given:
        return given if "://" in given else os.path.abspath(given)
    return scratch_below(arguments["home"]) if is_local(options) else None
