"""`tandem rebuild`: rebuilds the view store from journal and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, JournalOption, StoreOption
from tandem.runners.options.opened_patterns import is_like, way_to_give
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

__all__ = ["rebuild"]


def rebuild(
    definitions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DEFINITION]...", help="files of definitions (default: all that backfills ran for)"),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--files", metavar="GLOB", help="data files beside those that were taken in; repeatable"),
    ] = None,
    complete_until: Annotated[
        str | None, typer.Option(metavar="TIME", help="the files hold every event before this time")
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Make a lost, damaged or older view store anew from journal and files; the one there is kept beside it."""
    from tandem.pipelines.rebuild import rebuild as run

    _check_definitions(definitions or (), files or ())
    flags = ["--complete-until", complete_until] if complete_until is not None else []
    given = [os.path.abspath(path) for path in definitions or ()]
    for made in run(Home.of(home, store, journal), given, files or (), flags):
        read = f"{made.files} files and the journal up to generation {made.boundary}"
        say(f"{made.name}: made anew of {read}" + ("" if made.missing else ", nothing is missing"))
        for name in made.missing:
            say(f"{made.name}: missing: {name}")
        if made.missing:
            say(f"{made.name}: answers are PARTIAL: put back what is missing, and rebuild again")


def _check_definitions(definitions: Sequence[str], files: Sequence[str]) -> None:
    """Raise UserError for a data file among the definitions: the shell has opened a pattern that had no quotes."""
    for word in definitions:
        if is_like(word, files) and not word.endswith(".json"):
            raise UserError(f"{word!r} is no definition, and follows no flag; {way_to_give(word)}")
