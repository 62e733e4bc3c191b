"""`tandem compact`: joins batch states of many runs into few files, concurrently with readers and writers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.named import DefinitionArgument, compiled_named, name_of
from tandem.pipelines.console.printing import print_json, say
from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
from tandem.runners.options.places import Home

if TYPE_CHECKING:
    from tandem.views.layers.compaction.compacting import Compacted

__all__ = ["compact"]


def compact(
    definition: DefinitionArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be joined; change nothing")] = False,
    everything: Annotated[bool, typer.Option("--all", help="join large files too, whatever they gain by it")] = False,
    extra_disk: Annotated[
        int, typer.Option(min=0, metavar="PERCENT", help="how much more disk than batch states take it may need")
    ] = 25,
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="PLACE", help="where the files lie (default: beside the view store)"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Join files and rows of many batch runs into few files; answers stay as they are.

    No further than the oldest batch run that can still be rolled back to: `tandem prune` lets older ones go. Files that
    were replaced go a day later.
    """
    from tandem.storage.urls import place_of
    from tandem.views.layers.compaction.compacting import compact as join
    from tandem.views.layers.compaction.compacting import to_compact
    from tandem.views.layers.removing import sweep

    places = Home.of(home, store, journal)
    with existing_store(places) as views:
        name, compiled, share = name_of(definition, views), compiled_named(definition, views), extra_disk / 100
        if dry_run:
            found = to_compact(views.database, compiled, extra=share, everything=everything)
        else:
            sweep(views.database, views.publishing.clock())
            place = place_of(layers, "--layers") if layers else places.layers
            clock = views.publishing.clock
            found = join(views.database, compiled, place, clock, extra=share, everything=everything, tell=say)
    if as_json:
        print_json({**asdict(found), "dry_run": dry_run})
    else:
        _say(name, found, dry_run)


def _say(name: str, found: Compacted, dry_run: bool) -> None:
    done = "would join" if dry_run else "joined"
    into = "" if dry_run else f" into {found.written:,} of {found.written_size:,} bytes"
    if found.areas:
        say(f"{name}: {done} {found.files:,} files of {found.size:,} bytes and {found.rows:,} rows{into}")
    elif not found.rollups:
        say(f"{name}: nothing to join")
    if found.rollups:
        size = "" if dry_run else f": {found.rollup_rows:,} rows, {found.rollup_size:,} bytes"
        verb = "would roll up" if dry_run else "rolled up"
        say(f"{name}: {verb} hours and days of {found.rollups:,} months or days{size}")
    if found.waiting:
        say(
            f"{name}: {found.waiting:,} more spans of days would take {found.waiting_size:,} bytes, and wait: files "
            "that were replaced go a day later; --extra-disk allows more at once"
        )
    if found.kept:
        say(f"{name}: {found.kept:,} batch runs can be rolled back to and stay apart; `tandem prune` lets them go")
