"""`tandem deadletters`: list, show, replay and drop what could not be decoded or computed."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.named import DefinitionArgument
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
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
from tandem.storage.urls import place_of

if TYPE_CHECKING:
    from tandem.pipelines.bounded.replay_files import ReplayHome
    from tandem.pipelines.replay import Letter, Replayed
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.transforms.trial import Verdict
    from tandem.views.store import ViewStore

__all__ = ["drop", "list_letters", "replay", "show"]

LettersArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[LETTER]...", help="POSITION#ROW, or POSITION for all that are there"),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="whose latest reason holds this text")
]
StageOption = Annotated[
    str | None, typer.Option("--stage", metavar="STAGE", help="that failed in: decode, validate or expression")
]
PositionOption = Annotated[
    str | None,
    typer.Option("--position", "--lane", metavar="TEXT", help="of this run, lane (RUN/LANE), segment or file"),
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="published (of files: found) at this time or later")
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="published before this time")]
VersionOption = Annotated[
    str | None,
    typer.Option("--from-version", metavar="VERSION", help="whose letters (default: the version that is served)"),
]
FolderOption = Annotated[
    str | None,
    typer.Option("--dead-letters", metavar="PLACE", help="folder or URL of the letters (default: HOME/deadletters)"),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="at most so many, in their order")]

_ROWS = 50


def list_letters(
    definition: DefinitionArgument,
    letters: LettersArgument = None,
    status: Annotated[str, typer.Option("--status", metavar="STATUS", help="open, replayed, dropped or all")] = "all",
    reason: ReasonOption = None,
    stage: StageOption = None,
    position: PositionOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
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

    filters = Filters(reason, stage, position, since, until, status, tuple(letters or ()))
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


def drop(
    definition: DefinitionArgument,
    letters: LettersArgument = None,
    reason: ReasonOption = None,
    stage: StageOption = None,
    position: PositionOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
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

    filters = Filters(reason, stage, position, since, until, "open", tuple(letters or ()))
    with existing_store(Home.of(home, store)) as views:
        target = target_of(definition, views, from_version)
        found = find(views, target, filters, dead_letter_folder(home, dead_letters))[:limit]
        if dry_run:
            _print_plan(found, f"{target.name}: {_count(found)} would be dropped")
            return
        if found and not yes and not note.strip():
            raise UserError(f"{_count(found)} would be given up for good; --note says why, or --yes does without")
        places = [(letter.state.position, letter.state.row) for letter in found]
        dropped = views.dead_letters.settle(target.letters_of, places, DeadLetterStatus.DROPPED, note.strip())
    say(f"{target.name}: dropped {dropped:,} dead letter{'' if dropped == 1 else 's'}")


def replay(
    definition: DefinitionArgument,
    letters: LettersArgument = None,
    reason: ReasonOption = None,
    stage: StageOption = None,
    position: PositionOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    from_version: VersionOption = None,
    limit: LimitOption = None,
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="publish to it (default: the topic of the run's subscription)")
    ] = None,
    only_readable: Annotated[
        bool, typer.Option("--only-readable", help="leave out what the definition can't read now either")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="also those in flight: sent before, and not seen since")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only try to read them; nothing is sent or noted")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
    dead_letters: FolderOption = None,
) -> None:
    """Send open dead letters through the pipeline again, once each, and say what the definition makes of them now.

    Messages are published to their topic, for a live run to take in; records of files are taken in by a backfill.
    """
    from tandem.pipelines.bounded.replay_files import ReplayHome
    from tandem.schemas.definition.compiled import compile_definition

    places, folder = Home.of(home, store, journal), dead_letter_folder(home, dead_letters)
    filters = Filters(reason, stage, position, since, until, "open", tuple(letters or ()))
    with existing_store(places) as views:
        target = target_of(definition, views, from_version)
        compiled = compile_definition(target.definition)
        where = ReplayHome(place_of(home, "--home"), places.journal, places.store, folder)
        if again and not target.definition.deduplicate:
            raise UserError(f"--again: {target.name} doesn't remove copies, so what was sent twice would count twice")
        if not dry_run:
            _settle_files(views, target, compiled, where)
        found, flying, unreadable = _choose(find(views, target, filters, folder)[:limit], again)
        verdicts = _try(compiled, found)
        _print_verdicts(target, found, verdicts, flying, unreadable)
        if dry_run:
            return
        if only_readable:
            found = [letter for letter, verdict in zip(found, verdicts, strict=True) if verdict.readable]
        if not found:
            say(f"{target.name}: nothing to replay")
            return
        _replay(views, target, compiled, found, where, topic)


def _choose(found: Sequence[Found], again: bool) -> tuple[list[Letter], int, list[Found]]:
    """(letters to replay, how many are in flight, those without a file)."""
    from tandem.pipelines.replay import Letter

    unreadable = [letter for letter in found if letter.stored is None]
    flying = [letter for letter in found if letter.state.in_flight and letter.stored is not None]
    left_out = flying if not again else [letter for letter in flying if letter.state.generation < 0]
    chosen = [
        Letter(letter.state, letter.stored) for letter in found if letter.stored is not None and letter not in left_out
    ]
    return chosen, len(left_out), unreadable


def _try(compiled: CompiledDefinition, letters: Sequence[Letter]) -> list[Verdict]:
    from tandem.pipelines.bounded.replay_files import trial

    with tempfile.TemporaryDirectory(prefix="tandem-replay-") as folder:
        return trial(compiled, letters, time.time_ns() // 1000, Path(folder))


def _replay(
    views: ViewStore,
    target: Target,
    compiled: CompiledDefinition,
    letters: Sequence[Letter],
    home: ReplayHome,
    topic: str | None,
) -> None:
    from tandem.pipelines.replay import publish_letters, topics

    messages = [letter for letter in letters if not letter.of_file]
    records = [letter for letter in letters if letter.of_file]
    if records and target.letters_of != target.definition.version:
        raise UserError(
            f"{len(records)} letters are records of files that version {target.letters_of} read: version "
            f"{target.definition.version} reads the files themselves, with `tandem backfill --files`"
        )
    by_topic = {topic: messages} if topic is not None else topics(messages, home.journal)
    for name, held in by_topic.items():
        if held:
            done = publish_letters(views, target.letters_of, held, name)
            say(f"{target.name}: published {_letters(done.sent)} to {name}; a live run takes them in")
    if records:
        done = _replay_files(views, target, compiled, records, home)
        say(
            f"{target.name}: replayed {_letters(done.sent)} of files: {done.decoded:,} counted, filtered or "
            f"duplicates, {done.failed:,} failed again"
        )


def _settle_files(views: ViewStore, target: Target, compiled: CompiledDefinition, home: ReplayHome) -> None:
    """What a replay of files that died left behind."""
    from tandem.pipelines.bounded.replay_files import files_locked, settle_files

    if target.letters_of == target.definition.version and home.may_hold_replays:
        with files_locked(home):
            settle_files(views, compiled, home)


def _replay_files(
    views: ViewStore, target: Target, compiled: CompiledDefinition, letters: Sequence[Letter], home: ReplayHome
) -> Replayed:
    from tandem.pipelines.bounded.replay_files import files_locked, replay_files

    with files_locked(home), tempfile.TemporaryDirectory(prefix="tandem-replay-") as folder:
        file = target.file
        if file is None:
            file = str(Path(folder) / "definition.yaml")
            Path(file).write_text(views.definitions.text(target.letters_of), encoding="utf-8")
        return replay_files(views, compiled, letters, home, file)


def _print_verdicts(
    target: Target, letters: Sequence[Letter], verdicts: Sequence[Verdict], flying: int, unreadable: Sequence[Found]
) -> None:
    if not letters and not flying and not unreadable:
        say(f"{target.name}, version {target.letters_of}: no open dead letter fits", err=True)
        return
    readable = sum(verdict.readable for verdict in verdicts)
    version = target.definition.version
    say(f"{target.name}, version {version}: {readable:,} of {_letters(len(letters))} can be read now", err=True)
    failing = Counter((verdict.stage, verdict.reason) for verdict in verdicts if not verdict.readable)
    for (stage, reason), count in failing.most_common(20):
        say(f"  {count:,} fail in {stage}: {reason}", err=True)
    if len(failing) > 20:
        say(f"  and {len(failing) - 20:,} other reasons", err=True)
    if flying:
        say(f"  {_letters(flying)} in flight: sent before, not sent again", err=True)
    for letter in unreadable[:20]:
        say(f"  {letter.id} can't be replayed: {letter.problem}", err=True)
    if len(unreadable) > 20:
        say(f"  and {len(unreadable) - 20:,} more that can't", err=True)


def _print_plan(letters: Sequence[Found], summary: str) -> None:
    for letter in letters[:_ROWS]:
        say(f"  {letter.id}  {letter.reason}")
    if len(letters) > _ROWS:
        say(f"  and {len(letters) - _ROWS:,} more")
    say(summary)


def _count(letters: Sequence[Found]) -> str:
    return _letters(len(letters))


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"
