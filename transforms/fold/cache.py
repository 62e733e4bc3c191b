"""The states of open tiles that a process caches between panes."""

import threading
from dataclasses import dataclass, field
from typing import Final

from tandem.transforms.fold.state import TileState

__all__ = ["COMPACT_AFTER", "TILE_CACHE", "CachedTile", "TileCache"]

COMPACT_AFTER: Final = 16
"""Least number of entries in a tile's bag at which it is rewritten as one; afterwards at each doubling."""


@dataclass(slots=True)
class CachedTile:
    """A tile's state, and what the runner's state holds of it."""

    state: TileState
    entries: int
    """The number of entries in the bag of states."""
    compact_at: int
    """The number of entries at which that bag is rewritten as one."""
    owes: bool = False
    """Whether the runner's state lacks ids of this state: then the next update writes all of them."""
    behind: bool = False
    """Whether the store has more of this tile than this state has seen: the state was restored, and has to catch up
    first."""
    marked: bool = False
    """Whether the store has been marked accordingly."""


@dataclass
class TileCache:
    """The states of this process's open tiles. A state is taken out while it is in use: it has one owner at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    states: dict[tuple[str, str, int, int], tuple[bytes, CachedTile]] = field(default_factory=dict)

    def take(self, key: tuple[str, str, int, int], token: bytes | None) -> CachedTile | None:
        """The state, removed from the cache, if the token is its own; else None."""
        with self.lock:
            held = self.states.pop(key, None)
        return held[1] if held is not None and held[0] == token else None

    def put(self, key: tuple[str, str, int, int], token: bytes, cached: CachedTile) -> None:
        """Cache a state under its new token."""
        with self.lock:
            self.states[key] = (token, cached)

    def drop(self, key: tuple[str, str, int, int]) -> None:
        """Remove a tile."""
        with self.lock:
            self.states.pop(key, None)


TILE_CACHE: Final = TileCache()
"""The process's cache: bundles of one key may run on any of its threads."""
