"""`tandem deadletters`: list, show and drop dead letters."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tandem.commands.dead_letters.filters import FolderOption, LimitOption, VersionOption, choosing, count_text
from tandem.named import DefinitionArgument
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.serving.installation.dead_letters import Filters, Found, dead_letter_folder, find, only_one, target_of

__all__ = ["drop", "list_letters", "show"]

_ROWS = 50


@choosing
def list_letters(
    definition: DefinitionArgument,
    filters: Filters,
    status: Annotated[str, typer.Option("--status", metavar="STATUS", help="open, replayed, dropped or all")] = "all",
    from_version: VersionOption = None,
    limit: LimitOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    dead_letters: FolderOption = None,
) -> None:
    """List dead letters with their status, tries, time and reason."""
    from tandem.output.dead_letter_tables import print_letters
    from tandem.serving.installation.dead_letter_data import letter_data

    with existing_store(Home.of(home, store)) as views:
        target = target_of(definition, views, from_version)
        found = find(views, target, filters, dead_letter_folder(home, dead_letters))
    if as_json:
        listed = [letter_data(letter, payload=False) for letter in found[:limit]]
        data = {"name": target.name, "version": target.letters_of, "letters": listed, "total": len(found)}
        print_json(data)
    else:
        print_letters(console(), f"{target.name}, version {target.letters_of}", found, limit or _ROWS)


def show(
    definition: DefinitionArgument,
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="POSITION#ROW, as `list` shows it")],
    raw: Annotated[bool, typer.Option("--raw", help="only the payload's bytes, to standard output")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    from_version: VersionOption = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    dead_letters: FolderOption = None,
) -> None:
    """Show all of one dead letter: payload, reason, stage, where it came from, times, attributes, history."""
    from tandem.output.dead_letter_tables import print_letter
    from tandem.serving.installation.dead_letter_data import letter_data

    with existing_store(Home.of(home, store)) as views:
        target = target_of(definition, views, from_version)
        found = find(views, target, Filters(letters=(letter,)), dead_letter_folder(home, dead_letters))
    one = only_one(found, letter)
    if raw:
        if one.stored is None:
            raise UserError(f"{one.id}: its payload can't be read: {one.problem}")
        sys.stdout.buffer.write(one.stored.letter.payload)
        sys.stdout.buffer.flush()
    elif as_json:
        print_json(letter_data(one, payload=True))
    else:
        print_letter(console(), one)


@choosing
def drop(
    definition: DefinitionArgument,
    filters: Filters,
    from_version: VersionOption = None,
    limit: LimitOption = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="why; it is kept in the letters' history")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="really do it, without a note")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show what would be dropped")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    dead_letters: FolderOption = None,
) -> None:
    """Give open dead letters up: answers are no longer PARTIAL because of them. Their files stay."""
    from tandem.views.rows import DeadLetterStatus

    with existing_store(Home.of(home, store)) as views:
        target = target_of(definition, views, from_version)
        found = find(views, target, filters, dead_letter_folder(home, dead_letters))[:limit]
        if dry_run:
            _print_plan(found, f"{target.name}: {count_text(len(found))} would be dropped")
            return
        if found and not yes and not note.strip():
            raise UserError(
                f"{count_text(len(found))} would be given up for good; --note says why, or --yes does without"
            )
        places = [(letter.state.position, letter.state.row) for letter in found]
        dropped = views.dead_letters.settle(target.letters_of, places, DeadLetterStatus.DROPPED, note.strip())
    say(f"{target.name}: dropped {dropped:,} dead letter{'' if dropped == 1 else 's'}")


def _print_plan(letters: Sequence[Found], summary: str) -> None:
    for letter in letters[:_ROWS]:
        say(f"  {letter.id}  {letter.reason}")
    if len(letters) > _ROWS:
        say(f"  and {len(letters) - _ROWS:,} more")
    say(summary)
