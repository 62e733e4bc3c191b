"""The output of a running `tandem live`: one screen on a terminal, a line at intervals elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tandem.journal.index import JournalIndex
from tandem.journal.lanes.watermark_board import read_board
from tandem.journal.lanes.watermarks import lowest
from tandem.journal.runs.manifests import load_run
from tandem.journal.storage.opening import open_blobs
from tandem.journal.tail import is_follower
from tandem.pipelines.console.showing import shown_beside
from tandem.pipelines.unbounded.facts import LiveFacts, NewestAnswers, Rates, ago, facts_of, problem_of
from tandem.runners.options.places import Home
from tandem.schemas.certificate import time_text
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.schemas.telemetry.logs import logged, structured
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sinks.views import serve_when_caught_up
from tandem.views.report import status_report
from tandem.views.storage.opening import open_store

__all__ = ["looks", "note_idle_watermark", "screen_of", "watch"]

_EVERY: Final = 1.0
"""Seconds between two looks at the view store, at least."""
_SHARE: Final = 5
"""Looks take at most one in so many seconds: the fold of a run that catches up needs the same processor."""
_LINE_EVERY: Final = 10.0


@contextmanager
def watch(home: Home, definitions: Sequence[Definition], runs: Sequence[LiveRunRef], screen: bool) -> Iterator[None]:
    """Show progress from the view store until the body ends, and publish each run once it has caught up."""
    on_terminal = screen and sys.stderr.isatty() and not structured()
    with shown_beside(lambda stop: _watch(home, definitions, runs, on_terminal, stop)):
        yield


def _watch(
    home: Home, definitions: Sequence[Definition], runs: Sequence[LiveRunRef], on_terminal: bool, stop: threading.Event
) -> None:
    console = Console(stderr=True)
    rates, newest = Rates(), NewestAnswers() if on_terminal else None
    if on_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for _ in looks(stop):
                live.update(screen_of(_facts(home, definitions, runs, rates, newest)), refresh=True)
        return
    shown = time.monotonic()
    for _ in looks(stop):
        facts = _facts(home, definitions, runs, rates, newest)
        if time.monotonic() - shown >= _LINE_EVERY:
            shown = time.monotonic()
            for each in facts:
                if logged(each.line(), **each.fields()):
                    continue
                console.print(each.line(), highlight=False, soft_wrap=True, markup=False)


def looks(stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """One item a look, until the run ends. After one that took long the next one is later."""
    spent = 0.0
    while not stop.wait(max(_EVERY, (_SHARE - 1) * spent)):
        begun = clock()
        yield
        spent = clock() - begun


def note_idle_watermark(home: Home, definition: Definition, run: str) -> None:
    """Write the event time reached while no message arrives, which no segment would carry.

    Only once every lane has been idle for the idle timeout, or is done: by then everything it emitted is in the view.
    """
    if is_follower(run):
        writer = _writer_that_is_taken_in(home, definition, run)
        if writer is None:
            return
    else:
        writer = run
    board = read_board(open_blobs(home.journal), writer) or {}
    lanes = load_run(open_blobs(home.journal), writer).lanes
    if len(board) < lanes or not all(lane.idle or lane.done for lane in board.values()):
        return
    common = lowest([lane.watermarks for lane in board.values()], [definition.source.version])
    watermark = common[definition.source.version]
    if watermark is not None:
        open_store(home.store).live.set_watermark(definition.version, run, watermark)


def _writer_that_is_taken_in(home: Home, definition: Definition, run: str) -> str | None:
    """The last run that writes the journal, if a follower has taken in all of the journal."""
    index = _INDEXES.setdefault(home.journal, JournalIndex(open_blobs(home.journal)))
    index.refresh()
    if not index.runs or definition.source.version not in index.runs[-1].sources:
        return None
    mine = open_store(home.store).live.get(definition.version, run)
    there = sum(ref.count for ref in index.segments(mine.pruned_to))
    report = status_report(open_store(home.store), definition.name)
    known = next(r for r in report["live_runs"] if r["run"] == run and r["version"] == definition.version)
    taken = sum(generation["received"] for generation in known["generations"].values())
    return index.runs[-1].id if taken == there else None


_INDEXES: Final[dict[str, JournalIndex]] = {}


def _facts(
    home: Home,
    definitions: Sequence[Definition],
    runs: Sequence[LiveRunRef],
    rates: Rates,
    newest: NewestAnswers | None,
) -> list[LiveFacts]:
    store, found = open_store(home.store), []
    for definition, live_run in zip(definitions, runs, strict=True):
        try:
            serving = serve_when_caught_up(store, definition, live_run.run)
            note_idle_watermark(home, definition, live_run.run)
            now = time.time_ns() // 1000
            facts = facts_of(definition, live_run.run, serving, status_report(store, definition.name), rates, now)
            if newest is not None:
                facts = replace(facts, newest=newest.of(store, definition, facts.watermark))
            found.append(facts)
        except TandemError as error:
            found.append(problem_of(definition, live_run.run, error))
    return found


def screen_of(facts: Sequence[LiveFacts]) -> Group:
    """The whole screen: some short lines for each definition, which fit a narrow terminal."""
    lines = [Text("tandem live; Ctrl-C drains: seals, and loses nothing", "bold")]
    for each in facts:
        lines.append(Text(printable(f"{each.definition}  run {each.run}  {each.state}"), "bold"))
        if each.problem:
            lines.append(Text(printable(f"  {each.problem}"), "red"))
            continue
        lag = ago(each.lag) if each.lag is not None else "unknown"
        lines.append(Text(f"  {each.rate:,.0f}/s  {each.history}", no_wrap=True, overflow="crop"))
        lines.append(Text(f"  lag {lag}  fresh {ago(each.freshness)} ago  backlog {each.backlog:,}"))
        lines.append(Text(f"  received {each.received:,}  late {each.late:,}  dead {each.dead:,}"))
        watermark = time_text(each.watermark) if each.watermark is not None else "unknown"
        lines.append(Text(f"  watermark {watermark}  boundary {each.boundary}"))
        if each.early:
            lines.append(Text(f"  {each.time_unit_question('')}", "red"))
        if each.newest:
            lines.append(Text(printable(f"  newest: {each.newest}")))
    return Group(*lines)
