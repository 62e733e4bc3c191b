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


def note_read(board: str, events: int, *, whole: bool = False) -> None:
    """Add events to what this reader has read; with `whole` the item of work is at its end.

    Progress is for people: a board that is gone, or full, is passed over.
    """
    try:
        with open(os.path.join(board, f"{os.getpid()}-{threading.get_ident()}"), "a", encoding="ascii") as file:
            file.write(f"{events} {int(whole)}\n")
    except OSError:
        return


class BoardReader:
    """Adds up what the readers have noted."""

    def __init__(self, board: str) -> None:
        self.board = Path(board)

    def read(self) -> ReadSoFar:
        """The sum over all readers by now."""
        events = items = item_events = 0
        for path in self.board.glob("*"):
            held = 0
            for line in path.read_text(encoding="ascii").splitlines():
                words = line.split()
                if len(words) != 2:
                    continue  # it is being written
                held += int(words[0])
                if words[1] == "1":
                    items, item_events, held = items + 1, item_events + held, 0
                events += int(words[0])
        return ReadSoFar(events, items, item_events)
