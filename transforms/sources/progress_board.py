"""How far the readers of a bounded pipeline on this machine have come, to be shown by the launcher."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BoardReader", "ReadSoFar", "note_read"]


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """What all readers together have read."""

    events: int = 0
    items: int = 0
    """Of work, that are read to their end."""
    item_events: int = 0
    """Events of these."""
    dead: int = 0
    """Dead letters."""
    dead_bytes: int = 0
    """Of all dead letters."""
    item_dead_bytes: int = 0
    """Of dead letters of items that are read to their end."""


def note_read(board: str, events: int, *, dead: int = 0, dead_bytes: int = 0, whole: bool = False) -> None:
    """Add events and dead letters to what this reader has read; with `whole` the item of work is at its end.

    Progress is for people: a board that is gone, or full, is passed over.
    """
    try:
        with open(os.path.join(board, f"{os.getpid()}-{threading.get_ident()}"), "a", encoding="ascii") as file:
            file.write(f"{events} {dead} {dead_bytes} {int(whole)}\n")
    except OSError:
        return


class BoardReader:
    """Adds up what the readers have noted."""

    def __init__(self, board: str) -> None:
        self.board = Path(board)

    def read(self) -> ReadSoFar:
        """The sum over all readers by now."""
        so_far = ReadSoFar()
        for path in self.board.glob("*"):
            so_far = _with(so_far, path.read_text(encoding="ascii"))
        return so_far


def _with(before: ReadSoFar, notes: str) -> ReadSoFar:
    events = dead = dead_bytes = items = 0
    of_items = (0, 0)
    for line in notes.splitlines():
        words = line.split()
        if len(words) != 4:
            continue  # it is being written
        events, dead, dead_bytes = events + int(words[0]), dead + int(words[1]), dead_bytes + int(words[2])
        if words[3] == "1":
            items, of_items = items + 1, (events, dead_bytes)
    return ReadSoFar(
        before.events + events,
        before.items + items,
        before.item_events + of_items[0],
        before.dead + dead,
        before.dead_bytes + dead_bytes,
        before.item_dead_bytes + of_items[1],
    )
