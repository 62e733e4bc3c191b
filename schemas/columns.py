"""Names of the columns that Tandem adds to a batch of events. A source field may not start with two underscores."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONTENT",
    "EVENTS",
    "FIRST_TIME",
    "GENERATION",
    "HASH",
    "ID",
    "KEY",
    "LAST_TIME",
    "LATE",
    "RESERVED_PREFIX",
    "TILE",
    "TIME",
]

RESERVED_PREFIX: Final = "__"

TIME: Final = "__time"
"""The event's time: int64, microseconds since 1970-01-01 UTC, never null."""

TILE: Final = "__tile"
"""int64, the start of the tile of an event or state, where rows of many tiles are together."""

ID: Final = "__id"
"""The event's id, never null: int64 for a single integer id field, else string (of several fields: a JSON array)."""

HASH: Final = "__hash"
"""uint64, hash of the event id, beginning with the bucket of the event's key (`tandem.schemas.buckets.in_buckets`)."""

CONTENT: Final = "__content"
"""uint64, hash of all fields that the definition reads of the event."""

KEY: Final = "__key"
"""string, the canonical key: a JSON array of the key columns' values, in the definition's order."""

LATE: Final = "__late"
"""bool, whether the event was too late for live: live then stores its id alone, and batch counts it."""

GENERATION: Final = "__generation"
"""int64: 1, 2, 3 ... of the journal; -1, -2 ... of immutable sets of files."""

EVENTS: Final = "__events"
"""int64, the number of events merged into a state."""

FIRST_TIME: Final = "__first_time"
"""State of the least TIME of a tile's events; exists only where the definition declares a session window."""

LAST_TIME: Final = "__last_time"
"""State of the greatest TIME of a tile's events; exists only where the definition declares a session window."""
