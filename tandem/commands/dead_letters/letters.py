"""`tandem deadletters`: list, show and drop dead letters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final

import typer

from tandem.commands.dead_letters.filters import FolderOption, LimitOption, VersionOption, choosing, count_text
from tandem.named import DefinitionArgument
from tandem.pipelines.console.printing import console, print_json, print_json_items, say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.serving.installation.dead_letters import (
    Filters,
    Found,
    Target,
    dead_letter_folder,
    find,
    only_one,
    target_of,
)

__all__ = ["drop", "list_letters", "show"]

_ROWS: Final = 50
_AT_ONCE: Final = 5_000
"""Letters that one transaction drops."""


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

    with existing_store(Home.of(home, store)) as views:
        target = target_of(definition, views, from_version)
        found = find(views, target, filters, dead_letter_folder(home, dead_letters))
        if as_json:
            _print_json(target, found, limit)
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
        found = islice(find(views, target, filters, dead_letter_folder(home, dead_letters)), limit)
        if dry_run or not (yes or note.strip()):
            first = list(islice(found, _ROWS))
            count = len(first) + sum(1 for _ in found)
            if dry_run:
                _print_plan(first, count, f"{target.name}: {count_text(count)} would be dropped")
                return
            if count:
                raise UserError(
                    f"{count_text(count)} would be given up for good; --note says why, or --yes does without"
                )
        dropped = 0
        while some := [(letter.state.position, letter.state.row) for letter in islice(found, _AT_ONCE)]:
            dropped += views.dead_letters.settle(target.letters_of, some, DeadLetterStatus.DROPPED, note.strip())
    say(f"{target.name}: dropped {dropped:,} dead letter{'' if dropped == 1 else 's'}")


def _print_json(target: Target, found: Iterable[Found], limit: int | None) -> None:
    from tandem.serving.installation.dead_letter_data import letter_data

    total = 0

    def listed() -> Iterator[dict[str, Any]]:
        nonlocal total
        for letter in found:
            total += 1
            if limit is None or total <= limit:
                yield letter_data(letter, payload=False)

    print_json_items({"name": target.name, "version": target.letters_of}, "letters", listed(), lambda: {"total": total})


def _print_plan(first: Sequence[Found], count: int, summary: str) -> None:
    for letter in first:
        say(f"  {letter.id}  {letter.reason}")
    if count > len(first):
        say(f"  and {count - len(first):,} more")
    say(summary)
