"""`tandem deadletters replay`: sends dead letters through the pipeline again."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

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

_AT_ONCE: Final = 50_000
_SHOWN: Final = 20
"""Reasons, and letters without a file, that are shown."""
_REASONS: Final = 10_000
"""Different reasons that are counted one by one."""


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
        tally = _Tally(only_readable)
        for some in _pages(find(views, target, filters, folder), limit):
            tally.add(compiled, *_choose(some, again))
        _print_verdicts(target, tally)
        if dry_run:
            return
        if not tally.sendable:
            say(f"{target.name}: nothing to replay")
            return
        _check_records(target, tally)
        with _said(target.name) as sent:
            for some in _pages(find(views, target, filters, folder), limit):
                chosen = _worth_sending(compiled, _choose(some, again)[0], only_readable)
                _replay(views, target, compiled, chosen, where, topic, sent)


def _pages(found: Iterator[Found], limit: int | None) -> Iterator[list[Found]]:
    """The letters, so many at once as one file of a replay holds: their payloads are in memory."""
    found = islice(found, limit)
    while some := list(islice(found, _AT_ONCE)):
        yield some


@dataclass(slots=True)
class _Tally:
    """What would become of letters, counted."""

    only_readable: bool
    chosen: int = 0
    readable: int = 0
    records: int = 0
    """Letters to send that are records of files."""
    flying: int = 0
    """Letters in flight, which aren't sent again."""
    failing: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (stage, reason), of the first thousands of reasons."""
    other_failing: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Lines about the first letters without a file."""
    more_unreadable: int = 0

    def add(
        self, compiled: CompiledDefinition, letters: Sequence[Letter], flying: int, unreadable: Sequence[Found]
    ) -> None:
        """Try these letters, and count what became of them."""
        self.chosen += len(letters)
        self.flying += flying
        shown = [f"  {letter.id} can't be replayed: {letter.problem}" for letter in unreadable]
        room = _SHOWN - len(self.unreadable)
        self.unreadable += shown[:room]
        self.more_unreadable += len(shown[room:])
        for letter, verdict in zip(letters, _try(compiled, letters), strict=True):
            why = (verdict.stage, verdict.reason)
            self.records += letter.of_file and (verdict.readable or not self.only_readable)
            if verdict.readable:
                self.readable += 1
            elif why in self.failing or len(self.failing) < _REASONS:
                self.failing[why] += 1
            else:
                self.other_failing += 1

    @property
    def sendable(self) -> int:
        """Number of letters to send."""
        return self.readable if self.only_readable else self.chosen


@dataclass(slots=True)
class _Sent:
    """What was sent, counted over all pages."""

    by_topic: Counter[str] = field(default_factory=Counter)
    records: int = 0
    decoded: int = 0
    failed: int = 0


@contextmanager
def _said(name: str) -> Iterator[_Sent]:
    """Counts of what is sent within the context; says them at its end, also of what was sent before an error."""
    sent = _Sent()
    try:
        yield sent
    finally:
        for topic, count in sent.by_topic.items():
            say(f"{name}: published {count_text(count)} to {topic}; a live run takes them in")
        if sent.records:
            say(
                f"{name}: replayed {count_text(sent.records)} of files: {sent.decoded:,} counted, filtered or "
                f"duplicates, {sent.failed:,} failed again"
            )


def _worth_sending(compiled: CompiledDefinition, letters: Sequence[Letter], only_readable: bool) -> Sequence[Letter]:
    if not only_readable:
        return letters
    return [letter for letter, verdict in zip(letters, _try(compiled, letters), strict=True) if verdict.readable]


def _check_records(target: Target, tally: _Tally) -> None:
    if tally.records and target.letters_of != target.definition.version:
        raise UserError(
            f"{tally.records} letters are records of files that version {target.letters_of} read: version "
            f"{target.definition.version} reads the files themselves, with `tandem backfill --files`"
        )


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
    sent: _Sent,
) -> None:
    """Send the letters of one page."""
    from tandem.pipelines.replay import publish_letters, topics

    messages = [letter for letter in letters if not letter.of_file]
    records = [letter for letter in letters if letter.of_file]
    by_topic = {topic: messages} if topic is not None else topics(messages, home.journal)
    for name, held in by_topic.items():
        if held:
            done = publish_letters(views, target.letters_of, held, name)
            sent.by_topic[name] += done.sent
    if records:
        done = _replay_files(views, target, compiled, records, home)
        sent.records += done.sent
        sent.decoded += done.decoded
        sent.failed += done.failed


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


def _print_verdicts(target: Target, tally: _Tally) -> None:
    if not tally.chosen and not tally.flying and not tally.unreadable:
        say(f"{target.name}, version {target.letters_of}: no open dead letter fits", err=True)
        return
    of, version = count_text(tally.chosen), target.definition.version
    say(f"{target.name}, version {version}: {tally.readable:,} of {of} can be read now", err=True)
    for (stage, reason), count in tally.failing.most_common(_SHOWN):
        say(f"  {count:,} fail in {stage}: {reason}", err=True)
    if len(tally.failing) > _SHOWN:
        say(f"  and {len(tally.failing) - _SHOWN:,} other reasons", err=True)
    if tally.other_failing:
        say(f"  and {count_text(tally.other_failing)} of further reasons", err=True)
    if tally.flying:
        say(f"  {count_text(tally.flying)} in flight: sent before, not sent again", err=True)
    for line in tally.unreadable:
        say(line, err=True)
    if tally.more_unreadable:
        say(f"  and {tally.more_unreadable:,} more that can't", err=True)
