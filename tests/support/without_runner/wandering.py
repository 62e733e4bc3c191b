"""What a seeded story of results or alerts can do next: what comes in, batch runs, the clock, and who delivers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import Generic, TypeVar

from tandem.schemas.errors import PublishRefusedError
from tandem.views.outbox.leases import LEASE
from without_runner.result_stories import Event, Story

__all__ = ["Wandering", "Way"]

S = TypeVar("S", bound=Story)
Way = tuple[Callable[[], None], int]
"""(a step, its weight)."""

_USERS = ("ann", "bob", "cid")


class Wandering(ABC, Generic[S]):
    """A story, drawn from a seed."""

    around: Sequence[float]
    """Minutes from the story's time at which events happen, before a random minute is added."""
    amounts: tuple[int, int]
    """Of an event: (least, most)."""

    def __init__(self, story: S, seed: int) -> None:
        self.choose, self.story = Random(seed), story
        self.story.serve()
        self.generation, self.boundary, self.minutes, self.holders = 1, 0, 0.0, 1
        self.sealed_at = 0.0
        """The watermark when the last generation was sealed: earlier events may be on time in the next one."""

    @abstractmethod
    def ways(self) -> Sequence[Way]:
        """The steps there are."""

    def step(self) -> None:
        ways = self.ways()
        self.choose.choices([way for way, _ in ways], [weight for _, weight in ways])[0]()

    def come_late(self) -> None:
        self.story.too_late(self.event())

    def event(self) -> Event:
        at = max(self.minutes + self.choose.choice(self.around) + self.choose.random(), 0)
        return Event(at, self.choose.randint(*self.amounts), self.choose.choice(_USERS), self.generation)

    def go_on(self) -> None:
        self.minutes += self.choose.choice([0.25, 0.5, 1, 3])
        self.story.watermark(self.minutes)

    def seal(self) -> None:
        self.generation += 1
        self.sealed_at = self.minutes

    def backfill(self) -> None:
        if self.generation - 1 > self.boundary:
            self.boundary = self.generation - 1
            self.story.batch(self.boundary, max(self.sealed_at - self.choose.choice([0, 1, 4]), 0))

    def roll_back(self) -> None:
        publications = self.story.store.publishing.publications("visits")
        try:
            self.story.store.publishing.roll_back("visits", self.choose.choice(publications).ordinal, accept_late=True)
        except PublishRefusedError:
            return

    def deliver(self) -> None:
        self.story.deliverer.run_once()

    def wait(self) -> None:
        self.story.wait(self.choose.choice([1, 6, 20, 70]))

    def take_over(self) -> None:
        self.holders += 1
        self.story.wait(LEASE / 1e6)
        self.story.deliverer = self.story.new_deliverer(f"holder {self.holders}")

    def settle_all(self, minutes: float) -> None:
        """A batch run over everything there is; every window up to a minute is settled."""
        self.seal()
        self.boundary = self.generation - 1
        self.story.batch(self.boundary, minutes)
