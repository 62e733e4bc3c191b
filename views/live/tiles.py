"""The written progress of one tile of a live run, which its fold reads after a runner went back to a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import live_attempts, live_states, live_tallies

__all__ = ["TileProgress", "of_place", "place_values", "tile_events", "tile_progress"]


@dataclass(frozen=True, slots=True)
class TileProgress:
    """The written progress of a tile and shard of a live run."""

    seen: dict[int, int]
    """Counted events and duplicates, by generation; pruned generations are left out."""
    attempt: int
    """How often its rows were replaced, each time after a runner went back to a checkpoint."""

    def ahead_of(self, seen: dict[int, int], attempt: int) -> bool:
        """Whether the store has more events, or a later attempt, than a fold that has seen `seen`."""
        return self.attempt > attempt or any(count > seen.get(generation, 0) for generation, count in self.seen.items())


_HERE: Final[dict[str, Any]] = {name: sa.bindparam(f"the_{name}") for name in ("run", "tile", "shard")}


def of_place(columns: Any, *wanted: Any) -> sa.Select[Any]:
    """A query for columns of one run's tile and shard, from a table; see `place_values`."""
    return sa.select(*wanted).where(*(columns[name] == value for name, value in _HERE.items()))


def place_values(run: int, tile: int, shard: int) -> dict[str, Any]:
    """The values of a statement of `of_place`."""
    return {"the_run": run, "the_tile": tile, "the_shard": shard}


_SEEN: Final = of_place(live_tallies.c, live_tallies.c.generation, live_tallies.c.seen)
_ATTEMPT: Final = of_place(live_attempts.c, live_attempts.c.attempt)


def tile_progress(connection: sa.Connection, run: int, tile: int, shard: int) -> TileProgress:
    """The written progress of a tile and shard."""
    here = place_values(run, tile, shard)
    seen = {generation: int(count) for generation, count in select_rows(connection, _SEEN, here)}
    attempts = select_rows(connection, _ATTEMPT, here)
    return TileProgress(seen, int(attempts[0][0]) if attempts else 0)


def tile_events(connection: sa.Connection, run: int, tile: int) -> dict[str, int]:
    """Events by key in the rows of a tile, over all its generations and shards."""
    s = live_states.c
    query = sa.select(s.key, sa.func.sum(s.events)).where(s.run == run, s.tile == tile).group_by(s.key)
    return {key: int(events) for key, events in connection.execute(query)}
