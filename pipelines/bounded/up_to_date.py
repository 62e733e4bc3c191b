"""Ends a backfill without work before Beam is imported, which would take as long as all the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from tandem.formats.files.listing import expand, listed_paths, real_path
from tandem.pipelines.bounded.configs import configs_of
from tandem.pipelines.bounded.plan import BackfillConfig, Plan, files_of, plan
from tandem.pipelines.console.printing import progress
from tandem.runners.options.reading import Arguments, read_arguments
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.privacy.printable import printable
from tandem.schemas.telemetry.logs import log_as
from tandem.views.locking.turns import turn
from tandem.views.storage.opening import close_store, open_store
from tandem.views.store import ViewStore

__all__ = ["is_up_to_date", "nothing_new"]

_OTHERWISE: tuple[str, ...] = ("against", "save", "accept", "dry_run")
"""Flags with which a launch is checked even without anything to read."""


def nothing_new(config: BackfillConfig, planned: Plan) -> str:
    """The line for a definition whose batch view is up to date."""
    return f"{config.definition.name}: nothing new; boundary {planned.boundary} stays"


def is_up_to_date(words: Sequence[str]) -> bool:
    """Whether the batch views of all definitions of a local backfill are up to date; prints a line for each if so.

    False also where the pipeline has something else to print. Raises TandemError as the pipeline does.
    """
    arguments = read_arguments("backfill", words)
    log_as(arguments["log_format"])
    if arguments.beam or any(arguments.has(name) for name in _OTHERWISE):
        return False
    configs = configs_of(arguments.check_required(), local=True, shards=arguments["shards"] or 1)
    url = configs[0].home.store
    if url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        return False
    done = _is_done(configs, arguments, open_store(url))
    if not done:  # processes may be forked from this one, so it must hold no connection
        close_store(url)
    return done


def _is_done(configs: Sequence[BackfillConfig], arguments: Arguments, store: ViewStore) -> bool:
    console = progress()
    if not all(_is_served(config, store) for config in configs) or _names_new_files(configs, store):
        return False
    with ExitStack() as turns:
        for name in sorted(config.definition.name for config in configs):
            turns.enter_context(turn(store.database, name, console.print))
        notes: list[str] = []
        listed = expand(configs[0].files, configs[0].piece_memory, notes.append) if configs[0].files else ()
        plans = [plan(config, store, listed=listed) for config in configs]
        if any(planned.anything_new or planned.gaps for planned in plans):
            return False
        for config, planned in zip(configs, plans, strict=True):
            store.definitions.register(compile_definition(config.definition), config.definition_text)
            for line in dict.fromkeys((*notes, *planned.passed_by)):
                console.print(printable(line), markup=False)
            console.print(nothing_new(config, planned))
    return True


def _is_served(config: BackfillConfig, store: ViewStore) -> bool:
    served = store.publishing.served(config.definition.name)
    return served is not None and served.version == config.definition.version


def _names_new_files(configs: Sequence[BackfillConfig], store: ViewStore) -> bool:
    """Whether files were never read under their names: then their digests needn't be computed here and again later."""
    if not configs[0].files:
        return False
    paths = set(listed_paths(configs[0].files))
    return any(paths - {real_path(file.path) for file in files_of(config, store)} for config in configs)
