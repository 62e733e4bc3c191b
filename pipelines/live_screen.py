"""What `live` shows while it runs: one screen on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tandem.journal.blobs import LocalBlobs
from tandem.journal.journal_index import JournalIndex
from tandem.journal.runs import load_run
from tandem.journal.tail import is_follower
from tandem.journal.watermark_board import read_board
from tandem.journal.watermarks import lowest
from tandem.pipelines.config import Home
from tandem.schemas.certificate import time_text
from tandem.schemas.definition import Definition
from tandem.schemas.errors import TandemError
from tandem.transforms.sinks import serve_when_caught_up
from tandem.transforms.stored_tiles import LiveRunRef
from tandem.views.opening import open_store
from tandem.views.report import status_report

__all__ = ["note_idle_watermark", "watch"]

_EVERY = 1.0
_LINE_EVERY = 10.0


@contextmanager
def watch(home: Home, definitions: Sequence[Definition], runs: Sequence[LiveRunRef], screen: bool) -> Iterator[None]:
    """Show progress from the view store until the body ends, and serve each run once it has caught up."""
    stop = threading.Event()
    on_terminal = screen and sys.stderr.isatty()
    watcher = threading.Thread(target=_watch, args=(home, definitions, runs, on_terminal, stop), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join(timeout=5)


def _watch(
    home: Home, definitions: Sequence[Definition], runs: Sequence[LiveRunRef], on_terminal: bool, stop: threading.Event
) -> None:
    console = Console(stderr=True)
    rates = _Rates()
    if on_terminal:
        with Live(console=console, auto_refresh=False) as live:
            while not stop.wait(_EVERY):
                live.update(_table(_rows(home, definitions, runs, rates)), refresh=True)
        return
    shown = time.monotonic()
    while not stop.wait(_EVERY):
        rows = _rows(home, definitions, runs, rates)
        if time.monotonic() - shown >= _LINE_EVERY:
            shown = time.monotonic()
            for row in rows:
                line = ", ".join(f"{column} {value}" for column, value in zip(_COLUMNS[1:], row[1:], strict=True))
                console.print(f"{row[0]}: {line}", highlight=False, soft_wrap=True)


def note_idle_watermark(home: Home, definition: Definition, run: str) -> None:
    """Write down how far event time has come while nothing arrives, which no segment would say.

    Only once every lane has been idle for the idle timeout, or is done: by then what it emitted is in the view.
    """
    if is_follower(run):
        writer = _writer_that_is_taken_in(home, definition, run)
        if writer is None:
            return
    else:
        writer = run
    board = read_board(LocalBlobs(home.journal), writer) or {}
    lanes = load_run(LocalBlobs(home.journal), writer).lanes
    if len(board) < lanes or not all(lane.idle or lane.done for lane in board.values()):
        return
    common = lowest([lane.watermarks for lane in board.values()], [definition.source.version])
    watermark = common[definition.source.version]
    if watermark is not None:
        open_store(home.store).set_watermark(definition.version, run, watermark)


def _writer_that_is_taken_in(home: Home, definition: Definition, run: str) -> str | None:
    """The last run that writes the journal, if a follower has taken in all that the journal holds."""
    index = _INDEXES.setdefault(home.journal, JournalIndex(LocalBlobs(home.journal)))
    index.refresh()
    if not index.runs or definition.source.version not in index.runs[-1].sources:
        return None
    mine = open_store(home.store).live_run(definition.version, run)
    there = sum(ref.count for ref in index.segments(mine.pruned_to))
    report = status_report(open_store(home.store), definition.name)
    known = next(r for r in report["live_runs"] if r["run"] == run and r["version"] == definition.version)
    taken = sum(generation["received"] for generation in known["generations"].values())
    return index.runs[-1].id if taken == there else None


_INDEXES: Final[dict[str, JournalIndex]] = {}


class _Rates:
    """Events per second between two looks."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}

    def rate(self, name: str, total: int) -> float:
        now = time.monotonic()
        before, seen = self._last.get(name, (now, total))
        self._last[name] = (now, total)
        return (total - seen) / (now - before) if now > before else 0.0


def _rows(
    home: Home, definitions: Sequence[Definition], runs: Sequence[LiveRunRef], rates: _Rates
) -> list[tuple[str, ...]]:
    store = open_store(home.store)
    rows = []
    for definition, live_run in zip(definitions, runs, strict=True):
        try:
            serving = serve_when_caught_up(store, definition, live_run.run)
            note_idle_watermark(home, definition, live_run.run)
            rows.append(_row(definition, live_run, serving, status_report(store, definition.name), rates))
        except TandemError as error:
            rows.append((definition.name, live_run.run, str(error), "", "", "", "", "", "", ""))
    return rows


def _row(
    definition: Definition, live_run: LiveRunRef, serving: bool, report: Mapping[str, Any], rates: _Rates
) -> tuple[str, ...]:
    mine = next(r for r in report["live_runs"] if r["run"] == live_run.run and r["version"] == definition.version)
    totals = mine["generations"].values()
    received = sum(generation["received"] for generation in totals)
    served = report["served"] or {"boundary": 0}
    return (
        definition.name,
        live_run.run,
        "serving" if serving else "catching up",
        f"{rates.rate(definition.name, received):,.0f}/s",
        f"{received:,}",
        f"{sum(abs(residue) for residue in mine['residues'].values()):,}",
        f"{sum(generation['late'] for generation in totals):,}",
        f"{sum(generation['dead'] for generation in totals):,}",
        time_text(mine["watermark"]) if mine["watermark"] is not None else "unknown",
        str(served["boundary"]),
    )


_COLUMNS = ("definition", "run", "state", "rate", "received", "in flight", "late", "dead", "watermark", "boundary")


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(*_COLUMNS, title="tandem live; Ctrl-C drains: seals, and loses nothing")
    for row in rows:
        table.add_row(*row)
    return table
