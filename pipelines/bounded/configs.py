"""Turns a backfill's arguments into a config for each definition, without Beam."""

from __future__ import annotations

import os

from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.runners.options.definitions import definition_text, load_definitions
from tandem.runners.options.places import scratch_below
from tandem.runners.options.reading import Arguments
from tandem.storage.urls import place_of

__all__ = ["configs_of"]


def configs_of(arguments: Arguments, *, local: bool, shards: int) -> tuple[BackfillConfig, ...]:
    """One config for each definition; `local`: on this machine. Raises UserError, DefinitionError."""
    texts = map(definition_text, arguments["definition"])
    return tuple(
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
            scratch=_scratch(arguments, local),
            shards=shards,
            workers=arguments["workers"],
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


def _scratch(arguments: Arguments, local: bool) -> str | None:
    given: str | None = arguments["scratch"]
    if given:
        return given if "://" in given else os.path.abspath(given)
    return scratch_below(arguments["home"]) if local else None
