"""How far live is over, as far as that is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tandem.schemas.time.durations import SECOND
from tandem.views.answers.reading.scope import Scope
from tandem.views.results.clocks import BEGINNING

__all__ = ["WrittenWatermark"]

_HOLD: Final = 2 * SECOND
"""How long a watermark waits at most for what live has received before it, and not written yet."""


@dataclass
class WrittenWatermark:
    """Live's watermark, once what it has received up to there is written; it never falls."""

    over: int = BEGINNING
    seen: tuple[int, int] | None = None
    """A watermark that waits, and since when (wall clock)."""

    def at(self, scope: Scope, now: int) -> int:
        """Microseconds UTC, of event time. `now`: wall clock."""
        if scope.watermark is None:
            return self.over
        if self.seen is None:
            self.seen = (scope.watermark, now)
        if not scope.in_flight:
            self.over, self.seen = max(self.over, scope.watermark), None
        elif now - self.seen[1] >= _HOLD:
            self.over, self.seen = max(self.over, self.seen[0]), (scope.watermark, now)
        return self.over
