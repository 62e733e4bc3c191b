"""Generated page views: their rate rises and falls, pages differ, and every five minutes one page is crowded."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Traffic"]

SECOND: Final = 1_000_000
_PAGES: Final = ("home", "sale", "search", "cart", *(f"product/{number}" for number in range(1, 37)))
_CROWD_EVERY, _CROWD_FOR = 300, 60
"""Seconds from the start of one crowd to that of the next, and the duration of one."""


@dataclass
class Traffic:
    """A generator of page views, the same for the same seed; times in microseconds UTC."""

    rate: float
    """Views a second, on average."""
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    number: int = 0

    def views(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the messages of [start, end) in any order, with copies, late events and undecodable messages among
        them.
        """
        seconds = (end - start) / SECOND
        wave = 1 + 0.4 * math.sin(start / SECOND / 1800)
        for _ in range(self._count(self.rate * wave * seconds)):
            yield from self._view(self.chance.randrange(start, end), self._page())
        if start // SECOND % _CROWD_EVERY < _CROWD_FOR:
            crowded = _PAGES[4 + start // SECOND // _CROWD_EVERY % 36]
            for _ in range(self._count(self.rate * 0.4 * seconds)):
                yield from self._view(self.chance.randrange(start, end), crowded)

    def _count(self, wanted: float) -> int:
        return int(wanted) + (self.chance.random() < wanted % 1)

    def _page(self) -> str:
        return _PAGES[min(int(self.chance.expovariate(0.12)), len(_PAGES) - 1)]

    def _view(self, at: int, page: str) -> Iterator[bytes]:
        self.number += 1
        drawn = self.chance.random()
        if drawn < 0.0005:
            yield b'{"page": "' + page.encode() + b'", "event_time": "soon"}'
            return
        late = 60 * SECOND if 0.0005 <= drawn < 0.002 else 0
        amount = round(self.chance.lognormvariate(2, 0.8), 2)
        view = {"event_id": f"v{at}-{self.number}", "event_time": at - late, "user_id": self.chance.randrange(5_000)}
        message = json.dumps({**view, "page": page, "amount": amount}).encode()
        yield message
        if drawn > 0.99:
            yield message
