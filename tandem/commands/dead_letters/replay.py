"""`tandem deadletters replay`: sends dead letters through the pipeline again."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.commands.dead_letters.filters import FolderOption, LimitOption, VersionOption, choosing, count_text
from tandem.named import DefinitionArgument
from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.serving.installation.dead_letters import Filters, Found, Target, dead_letter_folder, find, target_of
from tandem.storage.urls import place_of

if TYPE_CHECKING:
    from tandem.pipelines.bounded.replay_files import ReplayHome
    from tandem.pipelines.replay import Letter, Replayed
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.transforms.trial import Verdict
    from tandem.views.store import ViewStore

__all__ = ["replay"]


@choosing
def replay(
    definition: DefinitionArgument,
    filters: Filters,
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
    """(letters to replay, number of letters in flight, letters without a file)."""
    from tandem.pipelines.replay import Letter

    unreadable = [letter for letter in found if letter.stored is None]
    flying = [letter for letter in found if letter.state.in_flight and letter.stored is not None]
    left_out = flying if not again else [letter for letter in flying if letter.state.generation < 0]
    chosen = [
        Letter(letter.state, letter.stored) for letter in found if letter.stored is not None and letter not in left_out
    ]
    return chosen, len(left_out), unreadable


def _try(compiled: CompiledDefinition, letters: Sequence[Letter]) -> list[Verdict]:
    from tandem.pipelines.bounded.replay_files import dry_run

    with tempfile.TemporaryDirectory(prefix="tandem-replay-") as folder:
        return dry_run(compiled, letters, time.time_ns() // 1000, Path(folder))


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
            say(f"{target.name}: published {count_text(done.sent)} to {name}; a live run takes them in")
    if records:
        done = _replay_files(views, target, compiled, records, home)
        say(
            f"{target.name}: replayed {count_text(done.sent)} of files: {done.decoded:,} counted, filtered or "
            f"duplicates, {done.failed:,} failed again"
        )


def _settle_files(views: ViewStore, target: Target, compiled: CompiledDefinition, home: ReplayHome) -> None:
    """Settle the remains of a replay of files that died."""
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
    say(f"{target.name}, version {version}: {readable:,} of {count_text(len(letters))} can be read now", err=True)
    failing = Counter((verdict.stage, verdict.reason) for verdict in verdicts if not verdict.readable)
    for (stage, reason), count in failing.most_common(20):
        say(f"  {count:,} fail in {stage}: {reason}", err=True)
    if len(failing) > 20:
        say(f"  and {len(failing) - 20:,} other reasons", err=True)
    if flying:
        say(f"  {count_text(flying)} in flight: sent before, not sent again", err=True)
    for letter in unreadable[:20]:
        say(f"  {letter.id} can't be replayed: {letter.problem}", err=True)
    if len(unreadable) > 20:
        say(f"  and {len(unreadable) - 20:,} more that can't", err=True)
