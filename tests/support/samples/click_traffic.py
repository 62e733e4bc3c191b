"""Clicks as Pub/Sub's own client publishes them, and what `examples/clicks` must answer, by plain Python."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from processes.stages import Stage

__all__ = ["CLICKS", "SECOND", "Publisher", "Results", "event", "expected", "in_order", "rounded", "traffic"]

CLICKS = Path(__file__).parents[3] / "examples" / "clicks" / "clicks.yaml"
SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_735_689_600 * SECOND
PAGES = 6

Results = dict[tuple[str, int], dict[str, Any]]
"""(key, start of the tile) -> measures."""


def event(chance: random.Random, number: int, behind: int = 0) -> bytes:
    """A click `behind` microseconds before its place in the stream of one a second."""
    click = {
        "event_id": f"click-{number}",
        "event_time": START + number * SECOND - behind,
        "user_id": chance.randrange(40),
        "page": f"/page/{chance.randrange(PAGES)}",
        "country": chance.choice(["DE", "FR", "IT"]),
        "amount": chance.uniform(-100, 1000),
    }
    return json.dumps(click).encode()


def in_order(chance: random.Random, number: int, first: int = 0) -> list[bytes]:
    """Clicks without disorder, copies or late ones: live has all of them as soon as it has read them."""
    return [event(chance, at) for at in range(first, first + number)]


def traffic(chance: random.Random, number: int) -> list[bytes]:
    """1 of 100 an hour late, the others disordered by up to 8 s; 1 of 20 is sent again, 1 of 200 has an equal id."""
    timed: list[tuple[float, bytes]] = []
    for at in range(number):
        late = 3600 * SECOND if at > number // 5 and chance.random() < 0.01 else 0
        message = event(chance, at, chance.randrange(8 * SECOND) + late)
        timed.append((at, message))
        if chance.random() < 0.05:
            timed.append((at + chance.choice([0, 1, 100, 3000]) * chance.random(), message))
        if chance.random() < 0.005:
            timed.append((at, json.dumps({**json.loads(message), "amount": -1.5}).encode()))
    return [message for _, message in sorted(timed, key=lambda item: item[0])]


def expected(messages: Sequence[bytes]) -> Results:
    """All answers by plain Python: a copy is equal in every byte, so a set leaves copies out."""
    tiles: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for message in set(messages):
        click = json.loads(message)
        place = (json.dumps([click["page"]]), click["event_time"] // MINUTE * MINUTE)
        tiles[place].append(click)
    return {place: _results_of(clicks) for place, clicks in tiles.items()}


def _results_of(clicks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums and means are of the exact amounts, rounded once."""
    amounts = [Fraction(click["amount"]) for click in clicks]
    return {
        "clicks": len(clicks),
        "amount": float(sum(amounts)),
        "least": float(min(amounts)),
        "most": float(max(amounts)),
        "mean": float(sum(amounts) / len(amounts)),
        "users": len({click["user_id"] for click in clicks}),
    }


def rounded(results: Results) -> Results:
    """Few different users: the estimate is the number."""
    return {place: {**values, "users": round(values["users"])} for place, values in results.items()}


@dataclass
class Publisher:
    """Publishes in the background until `finish`; a machine that is slow gets some more messages than planned, and no
    more than it can read: what is answered decides on how far it goes ahead.
    """

    stage: Stage
    messages: list[bytes]
    rate: float
    """Messages a second."""
    chance: random.Random
    copies: int = 200
    """Of messages that batch has counted by the end."""
    sent: int = 0
    """Of the messages."""
    answered: Callable[[], int] | None = None
    """How many events the answers have; None: it publishes by its rate alone."""
    ahead: int = 10_000
    """Messages that may be unanswered, and a fifth of those that are answered: copies and late ones."""
    error: BaseException | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Publisher:
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def finish(self) -> None:
        """Stop, and publish the rest at once, with copies of some old messages, which batch has counted by now."""
        self.__exit__()
        if self.error is not None:
            raise self.error
        self.messages += self.chance.choices(self.messages[: self.sent], k=self.copies)
        rest = self.messages[self.sent :]
        for start in range(0, len(rest), 5_000):
            self.stage.publish(rest[start : start + 5_000])
        self.sent += len(rest)

    def stop(self) -> None:
        """Stop, and forget what wasn't sent yet."""
        self.__exit__()
        if self.error is not None:
            raise self.error
        del self.messages[self.sent :]

    def _limit(self) -> int:
        return sys.maxsize if self.answered is None else self.ahead + self.answered() * 6 // 5

    def _run(self) -> None:
        begun = time.monotonic()
        try:
            while not self._stopped.wait(0.1):
                due = min(int((time.monotonic() - begun) * self.rate) + 1, self._limit())
                while due > len(self.messages):
                    self.messages.append(event(self.chance, len(self.messages)))
                batch = self.messages[self.sent : due]
                self.stage.publish(batch)
                self.sent += len(batch)
        except BaseException as error:
            self.error = error
