"""The demo's display: a table that is updated on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.flights.processes import Processes, TandemProcess
from tandem.schemas.certificate import Status, time_text
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.point import Answer, window
from tandem.views.store import ViewStore

__all__ = ["Board", "Row", "Screen", "read_board", "route_name"]

DAY: Final = 86_400_000_000
SPANS: Final = (("today", 1), ("7 days", 7), ("28 days", 28))
"""Windows shown, in days that end with the day of the simulated time (UTC)."""
_COLOURS: Final = {Status.FINAL: "green", Status.PROVISIONAL: "yellow", Status.PARTIAL: "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One key's answers over the spans, in their order."""

    key: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """The values of one update of the display."""

    now: int
    """The simulated time, microseconds UTC."""
    messages: int
    """Messages of all December."""
    visible: int
    late: int
    polls: int
    falls: int
    doing: str
    """The name of the running step."""
    rows: tuple[Row, ...]


def read_board(store: ViewStore, compiled: CompiledDefinition, keys: Sequence[str], now: int, **counts: Any) -> Board:
    """Query every answer of the board, each in its own transaction."""
    rows = [Row(key, tuple(window(store, compiled, key, now, days * DAY, DAY) for _, days in SPANS)) for key in keys]
    return Board(now=now, rows=tuple(rows), **counts)


def route_name(key: str) -> str:
    """`["JFK","B6"]` as `JFK B6`."""
    return " ".join(json.loads(key))


class Screen:
    """Shows boards; a context manager."""

    def __init__(self, console: Console, line_every: float = 4.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`line_every`: seconds between two lines where there is no terminal."""
        self.console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._line_every, self._clock, self._line_at = line_every, clock, -line_every
        self._shown = False

    def say(self, text: str) -> None:
        """Print a line that stays; the table is removed until the next update."""
        self.clear()
        self.console.print(text, highlight=False, soft_wrap=True)

    def wait_for(self, processes: Processes, process: TandemProcess) -> None:
        """Wait for the end of a process, then print its output except alerts. Raises ProcessFailedError."""
        for text in processes.wait(process).splitlines():
            if not text.startswith("{"):
                self.say(f"   {process.name}: {text}")

    def show(self, board: Board) -> None:
        """Replace the table, or write a line if it is time."""
        if self._live is not None:
            if not self._shown:
                self._live.start()
                self._shown = True
            self._live.update(table(board), refresh=True)
        elif self._clock() - self._line_at >= self._line_every:
            self._line_at = self._clock()
            self.say(line(board))

    def clear(self) -> None:
        """Remove the table."""
        if self._live is not None and self._shown:
            self._live.stop()
            self._shown = False

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def line(board: Board) -> str:
    """The board's first key in one line."""
    row = board.rows[0]
    parts = [
        f"{name} {_count(answer)} (live {answer.certificate.live_share:.0%}, {answer.certificate.status})"
        for (name, _), answer in zip(SPANS, row.answers, strict=True)
    ]
    boundary = row.answers[-1].certificate.boundary
    return (
        f"  {time_text(board.now)[:16]}Z  {route_name(row.key)}: {', '.join(parts)}; "
        f"{board.visible:,} of {board.messages:,} visible, boundary {boundary}, "
        f"{board.polls:,} polls, {board.falls} fell"
    )


def table(board: Board) -> Group:
    """The whole board; the certificate is that of the longest span, and colours show each answer's status."""
    shown = Table(title=f"{time_text(board.now)[:16].replace('T', ' ')} UTC in the replay", title_justify="left")
    shown.add_column("flights of", no_wrap=True)
    for name, _ in SPANS:
        shown.add_column(name, justify="right")
        shown.add_column("live", justify="right")
    for name in ("certificate", "mean delay", "on time", "planes"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in board.rows:
        shown.add_row(route_name(row.key), *_cells(row))
    certificate = board.rows[0].answers[-1].certificate
    watermark = time_text(certificate.watermark)[:16] if certificate.watermark is not None else "none yet"
    foot = Text.assemble(
        f"visible {board.visible:,} of {board.messages:,} messages   late for live {board.late}   ",
        f"boundary {certificate.boundary}   publication {certificate.publication}   watermark {watermark}\n",
        f"watched: {board.polls:,} polls, {board.falls} falls   now: {board.doing}",
        style="dim",
    )
    return Group(shown, foot)


def _cells(row: Row) -> list[str | Text]:
    cells: list[str | Text] = []
    for answer in row.answers:
        certificate = answer.certificate
        cells.append(Text(_count(answer), style=_COLOURS[certificate.status]))
        cells.append(f"{certificate.live_share:.0%}")
    whole = row.answers[-1]
    cells.append(Text(whole.certificate.status.value, style=_COLOURS[whole.certificate.status]))
    delay, flights = whole.results["mean_delay"], whole.results["flights"]
    cells.append("" if delay is None else f"{delay:.1f} min")
    cells.append(f"{whole.results['on_time'] / flights:.0%}" if flights else "")
    cells.append(f"{whole.results['planes']:,}")
    return cells


def _count(answer: Answer) -> str:
    return f"{answer.results['flights']:,}"
