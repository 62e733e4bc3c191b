"""The progress of a bounded pipeline's readers on this machine, for display by the launcher."""

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
    """Items of work that are read to their end."""
    item_events: int = 0
    """Events of these items."""
    dead: int = 0
    """Dead letters."""
    dead_bytes: int = 0
    """Bytes of all dead letters."""
    item_dead_bytes: int = 0
    """Bytes of the dead letters of items that are read to their end."""


def note_read(board: str, events: int, *, dead: int = 0, dead_bytes: int = 0, whole: bool = False) -> None:
    """Add events and dead letters to this reader's progress; `whole`: the item of work is at its end.

    Progress is for display only: a missing folder or a full disk is ignored.
    """
    try:
        with open(os.path.join(board, f"{os.getpid()}-{threading.get_ident()}"), "a", encoding="ascii") as file:
            file.write(f"{events} {dead} {dead_bytes} {int(whole)}\n")
    except OSError:
        return


class BoardReader:
    """Sums the progress of all readers."""

    def __init__(self, board: str) -> None:
        self.board = Path(board)

    def read(self) -> ReadSoFar:
        """The sum over all readers so far."""
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
