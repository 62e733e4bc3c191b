"""States of open tiles that a process keeps between panes."""

import threading
from dataclasses import dataclass, field
from typing import Final

from tandem.transforms.fold.state import TileState

__all__ = ["COMPACT_AFTER", "TILE_CACHE", "CachedTile", "TileCache"]

COMPACT_AFTER: Final = 16
"""Entries of a tile's bag before it is written anew as one, at the least; then at each doubling."""


@dataclass(slots=True)
class CachedTile:
    """A tile's state, and what its bag in the runner's state holds of it."""

    state: TileState
    entries: int
    """Of the bag."""
    compact_at: int
    """Entries at which the bag is written anew as one."""
    behind: bool = False
    """The store has more of this tile than this state has seen: it was restored, and has to catch up first."""
    marked: bool = False
    """The store has been told so."""


@dataclass
class TileCache:
    """States of this process's open tiles. A state is taken out while it is worked on: one owner at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    states: dict[tuple[str, str, int, int], tuple[bytes, CachedTile]] = field(default_factory=dict)

    def take(self, key: tuple[str, str, int, int], token: bytes | None) -> CachedTile | None:
        """The state, if it is the one that the token belongs to; it is nobody's then."""
        with self.lock:
            held = self.states.pop(key, None)
        return held[1] if held is not None and held[0] == token else None

    def put(self, key: tuple[str, str, int, int], token: bytes, cached: CachedTile) -> None:
        """Keep a state, by its new token."""
        with self.lock:
            self.states[key] = (token, cached)

    def drop(self, key: tuple[str, str, int, int]) -> None:
        """Keep nothing of a tile."""
        with self.lock:
            self.states.pop(key, None)


TILE_CACHE: Final = TileCache()
"""One for the process: bundles of one key may come to any of its threads."""
