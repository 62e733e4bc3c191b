"""What `live` shows while it runs: one screen on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipelines.config import Home
from schemas.definition import Definition
from schemas.errors import TandemError
from transforms.fold import LiveRunRef
from transforms.sinks import serve_when_caught_up
from views.opening import open_store

__all__ = ["watch"]

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
                console.print("  ".join(row), highlight=False, soft_wrap=True)


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
            residues = store.residues(definition.version, live_run.run)
            rows.append((definition.name, live_run.run, "serving" if serving else "catching up", str(sum(residues.values()))))
        except TandemError as error:
            rows.append((definition.name, live_run.run, str(error), ""))
    return rows


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table("definition", "run", "state", "in flight", title="tandem live")
    for row in rows:
        table.add_row(*row)
    return table
