"""Shows a backfill's progress from its first second on: bytes read, rate, and remaining time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rich.console import Console

from tandem.pipelines.console.showing import shown_beside
from tandem.schemas.privacy.files import need_folder
from tandem.schemas.privacy.printable import printable
from tandem.transforms.sources.progress_board import BoardReader, ReadSoFar

__all__ = ["board_in", "progress_line", "shown_progress"]

_EVERY: Final = 1.0
_LINE_EVERY: Final = 10.0
"""Seconds between two lines where there is no terminal."""
_FIRST_GUESS: Final = 100
"""Bytes of an event, until an item of work has been read to its end."""


def board_in(scratch: str | None) -> str | None:
    """The folder in which readers note their progress: in a scratch folder on this machine; None elsewhere."""
    if scratch is None or "://" in scratch:
        return None
    board = str(Path(scratch, "progress"))
    need_folder(board)
    return board


@contextmanager
def shown_progress(console: Console, title: str, size: int, items: int, board: str | None) -> Iterator[None]:
    """Show progress until the body ends: one changing line on a terminal, elsewhere a line every few seconds.

    `size`: bytes to read, in `items` of work. Without a board only the time is shown.
    """
    begun = time.monotonic()
    reader = BoardReader(board) if board is not None else None

    def line() -> str:
        so_far = reader.read() if reader is not None else None
        return printable(f"{title}: {progress_line(so_far, size, items, time.monotonic() - begun)}")

    def show(stop: threading.Event) -> None:
        with suppress(OSError):  # the board is removed when the pipeline ends
            if console.is_terminal:
                with console.status("") as status:
                    while not stop.wait(_EVERY / 4):
                        status.update(line().replace("[", r"\["))
                return
            waited = _EVERY
            while not stop.wait(waited):
                console.print(line(), markup=False)
                waited = _LINE_EVERY

    with shown_beside(show):
        yield


def progress_line(so_far: ReadSoFar | None, size: int, items: int, seconds: float) -> str:
    """The share of `size` bytes that is read after some seconds, the rate in events, and the remaining time, about."""
    if so_far is None or not items:
        return f"{seconds:.0f} s"
    if so_far.items >= items:
        return f"all {so_far.events:,} events are read in {seconds:.0f} s, their results are being written"
    done = so_far.items * size / items
    of_event = done / so_far.item_events if so_far.item_events else _FIRST_GUESS
    share = min((done + (so_far.events - so_far.item_events) * of_event) / max(size, 1), 0.99)
    text = f"{share:.0%} of {size / 1e6:,.1f} MB read, {so_far.events:,} events"
    if not so_far.events or not share:
        return f"{text}, {seconds:.0f} s"
    return f"{text}, {so_far.events / seconds:,.0f}/s, about {_time(seconds / share - seconds)} left"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
