"""Compares answers over whole days, which may come from rollups, with those of their tiles."""

from __future__ import annotations

from collections.abc import Iterator

from tandem.schemas.time.durations import DAY
from tandem.verification.world.world import World
from tandem.views.answers.point import answer

__all__ = ["differing_days"]


def differing_days(world: World) -> Iterator[tuple[str, int, int]]:
    """(key, events over all its days, events in their tiles), for each key where they differ."""
    tiles: dict[str, dict[int, int]] = {}
    for (key, tile), row in world.answers().items():
        tiles.setdefault(key, {})[tile] = int(row["events"])
    for key, events in tiles.items():
        start, end = min(events) // DAY * DAY, (max(events) // DAY + 1) * DAY
        found, wanted = answer(world.store, world.compiled, key, start, end), sum(events.values())
        if found.certificate.events != wanted:
            yield key, found.certificate.events, wanted
