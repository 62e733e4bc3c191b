"""Live's watermark, held back until the events before it are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tandem.schemas.time.durations import SECOND
from tandem.views.answers.reading.scope import Scope
from tandem.views.results.clocks import BEGINNING

__all__ = ["WrittenWatermark"]

_HOLD: Final = 2 * SECOND
"""Longest time that a watermark waits for events that live has received before it and not written yet."""


@dataclass
class WrittenWatermark:
    """Live's watermark, once the events received before it are written; it never falls."""

    over: int = BEGINNING
    seen: tuple[int, int] | None = None
    """A waiting watermark, and since when it waits (wall clock)."""

    def at(self, scope: Scope, now: int) -> int:
        """The watermark in event time, microseconds UTC. `now`: wall clock."""
        if scope.watermark is None:
            return self.over
        if self.seen is None:
            self.seen = (scope.watermark, now)
        if not scope.in_flight:
            self.over, self.seen = max(self.over, scope.watermark), None
        elif now - self.seen[1] >= _HOLD:
            self.over, self.seen = max(self.over, self.seen[0]), (scope.watermark, now)
        return self.over
