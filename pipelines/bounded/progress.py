"""Shows a backfill's progress from its first second on: bytes read, rate, and remaining time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

from rich.console import Console

from tandem.pipelines.console.showing import shown_beside
from tandem.schemas.privacy.files import need_folder
from tandem.schemas.privacy.printable import printable
from tandem.transforms.sources.progress_board import BoardReader, ReadSoFar

__all__ = ["board_in", "progress_line", "shown_progress", "shown_time"]

_EVERY: Final = 1.0
_LINE_EVERY: Final = 5.0
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

    `size`: bytes to read, unpacked, in `items` of work. Without a board only the time is shown.
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


def shown_time(console: Console, title: str) -> AbstractContextManager[None]:
    """Show, once it takes longer than a second, that the body is at work: what it is, and how long it has taken."""
    return shown_progress(console, title, 0, 0, None)


def progress_line(so_far: ReadSoFar | None, size: int, items: int, seconds: float) -> str:
    """The share of `size` bytes that is read after some seconds, the rate in events, and the remaining time, about."""
    if so_far is None or not items:
        return f"{seconds:.0f} s"
    read = f"{so_far.events:,} events" + (f" and {so_far.dead:,} dead letters" if so_far.dead else "")
    if so_far.items >= items:
        return f"all {read} are read in {seconds:.0f} s, their results are being written"
    share = min(_bytes_read(so_far, size, items) / max(size, 1), 0.99)
    text = f"{share:.0%} of {size / 1e6:,.1f} MB read, {read}"
    records = so_far.events + so_far.dead
    if not records or not share:
        return f"{text}, {seconds:.0f} s"
    return f"{text}, {records / seconds:,.0f}/s, about {_time(seconds / share - seconds)} left"


def _bytes_read(so_far: ReadSoFar, size: int, items: int) -> float:
    """About: of events the bytes aren't known, of dead letters they are."""
    done = so_far.items * size / items
    of_event = float(_FIRST_GUESS)
    if so_far.item_events:
        of_event = max(done - so_far.item_dead_bytes, 0) / so_far.item_events
    dead_bytes = so_far.dead_bytes - so_far.item_dead_bytes
    return done + (so_far.events - so_far.item_events) * of_event + dead_bytes


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
