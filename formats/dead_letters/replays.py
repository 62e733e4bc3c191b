"""The attributes by which a replayed message names its original dead letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["ATTEMPT", "REPLAY_FROM", "REPLAY_OF", "ReplayOf", "without_replay"]

REPLAY_OF: Final = "tandem-replay-of"
"""`LANE/NUMBER#ROW` of the original: its segment's lane and number in the journal, its row in the segment."""

REPLAY_FROM: Final = "tandem-replay-from"
"""`GENERATION@PUBLISH_TIME` of the original; microseconds since 1970-01-01 UTC."""

ATTEMPT: Final = "tandem-attempt"
"""The number of this replay of the original: 1, 2, 3 ..."""

_OF: Final = re.compile(r"(.+)#(\d{1,18})")
_FROM: Final = re.compile(r"(-?\d{1,18})@(-?\d{1,19})")


@dataclass(frozen=True, slots=True)
class ReplayOf:
    """The original dead letter of a replayed message."""

    position: str
    """LANE/NUMBER of the original's segment."""
    row: int
    """The original's row in its segment."""
    generation: int
    """The original's generation."""
    publish_time: int
    """The original's publish time, microseconds since 1970-01-01 UTC."""
    attempt: int

    def attributes(self) -> dict[str, str]:
        """The attributes of a replayed message, besides the original's own."""
        return {
            REPLAY_OF: f"{self.position}#{self.row}",
            REPLAY_FROM: f"{self.generation}@{self.publish_time}",
            ATTEMPT: str(self.attempt),
        }

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> ReplayOf | None:
        """The original that these attributes name; None for a message that isn't a replay, or whose attributes are
        invalid.
        """
        original, start = _OF.fullmatch(attributes.get(REPLAY_OF, "")), _FROM.fullmatch(attributes.get(REPLAY_FROM, ""))
        attempt = attributes.get(ATTEMPT, "")
        if original is None or start is None or not re.fullmatch(r"[0-9]{1,9}", attempt):
            return None
        return cls(original[1], int(original[2]), int(start[1]), int(start[2]), int(attempt))


def without_replay(attributes: Mapping[str, str]) -> dict[str, str]:
    """The original's attributes: those of a message without those of a replay."""
    return {name: value for name, value in attributes.items() if name not in (REPLAY_OF, REPLAY_FROM, ATTEMPT)}
