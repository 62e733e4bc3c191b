"""Seeded stories of results: whatever happens, once nothing is due the last revision of each window and key is its
answer, and revisions never go back.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from breaking.fuses import Fuse
from oracles.result_laws import added_up, answers, check_answers, check_final, check_received, check_revisions

from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.time.durations import MINUTE
from tandem.verification.world.live_run import Crash
from tandem.views.outbox.leases import LEASE
from tandem.views.results.due.choosing import Cursor
from tandem.views.results.due.expanding import expand_due
from tandem.views.results.revisions.draining import Drainer
from without_runner.result_stories import BEGIN, Event, Story, definition_of

__all__ = ["RESULTS", "check_changes_meanwhile", "check_results"]

RESULTS = {
    "fixed": "{window: 2m, trigger: {early: 10s}, lateness: 3m, to: log}",
    "on-time": "{window: 2m, trigger: {late: 1m}, lateness: 3m, mode: retracting, to: log}",
    "sliding": "{window: {size: 3m, every: 1m}, trigger: {early: 5s, late: never}, lateness: 1m, to: log}",
    "session": "{window: {session: 2m}, trigger: {early: 10s}, mode: retracting, to: log}",
    "discarding": "{window: 1m, trigger: {early: 5s}, mode: discarding, to: log}",
    "where": "{window: 2m, trigger: {early: 10s}, where: n > 1 AND amount < 9, to: log}",
}
_USERS = ("ann", "bob", "cid")
_STEPS = 45


class Wandering:
    """One story, drawn from a seed."""

    def __init__(self, folder: Path, seed: int, result: str) -> None:
        self.choose = Random(seed)
        self.story = Story(folder / "v.db", definition_of(result))
        self.output = self.story.output
        self.story.deliverer = self.story.new_deliverer("first")
        self.story.serve()
        self.generation, self.boundary, self.minutes, self.holders = 1, 0, 0.0, 1
        self.stale: tuple[Drainer, Any] | None = None

    def step(self) -> None:
        ways = (
            (self.publish, 8),
            (self.come_late, 2),
            (self.go_on, 4),
            (self.seal, 2),
            (self.backfill, 2),
            (self.roll_back, 1),
            (self.deliver, 8),
            (self.wait, 4),
            (self.fail, 2),
            (self.take_over, 1),
            (self.read_now_and_write_later, 2),
            (self.die, 3),
        )
        self.choose.choices([way for way, _ in ways], [weight for _, weight in ways])[0]()

    def publish(self) -> None:
        self.story.live(*(self._event() for _ in range(self.choose.randint(1, 3))))

    def come_late(self) -> None:
        self.story.too_late(self._event())

    def _event(self) -> Event:
        at = max(self.minutes + self.choose.choice([-4, -2, -1, 0, 0.5, 1]) + self.choose.random(), 0)
        return Event(at, self.choose.randint(-3, 5), self.choose.choice(_USERS), self.generation)

    def go_on(self) -> None:
        self.minutes += self.choose.choice([0.25, 0.5, 1, 3])
        self.story.watermark(self.minutes)

    def seal(self) -> None:
        self.generation += 1

    def backfill(self) -> None:
        if self.generation - 1 > self.boundary:
            self.boundary = self.generation - 1
            self.story.batch(self.boundary, max(self.minutes - self.choose.choice([0, 1, 4]), 0))

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

    def fail(self) -> None:
        self.output.fails = self.choose.choice(["", "", "away"])
        self.output.loses_answers = self.choose.random() < 0.2

    def take_over(self) -> None:
        self.holders += 1
        self.story.wait(LEASE / 1e6)
        self.story.deliverer = self.story.new_deliverer(f"holder {self.holders}")

    def die(self) -> None:
        """A deliverer dies before or after one of its commits, and another takes over once its lease has ended."""
        fuse = Fuse(self.story.store)
        fuse.light(self.choose.randint(1, 5), before=self.choose.random() < 0.5)
        with suppress(Crash):
            self.deliver()
        fuse.remove()
        self.take_over()

    def read_now_and_write_later(self) -> None:
        """A drainer that stops between reading and writing."""
        if self.stale is None:
            drainer = Drainer(self.story.store, self.story.compiled)
            self.stale = drainer, drainer._read("r", BEGIN + int(self.minutes * MINUTE), self.story.now, Cursor())
        else:
            (drainer, seen), self.stale = self.stale, None
            drainer._write("r", seen, self.story.now)

    def settle(self, *, batch: bool) -> None:
        """Let everything through: outputs take all in, and every window is over, and with `batch` settled."""
        if self.stale is not None:
            self.read_now_and_write_later()
        self.output.fails, self.output.loses_answers = "", False
        self.story.watermark(self.minutes + 1_000)
        if batch:
            self.generation += 1
            self.boundary = self.generation - 1
            self.story.batch(self.boundary, self.minutes + 1_000)
        self.take_over()
        for _ in range(3):
            self.story.wait(600)
            self.deliver()


def check_results(result: str, seeds: Sequence[int]) -> None:
    """Seeded stories of one of RESULTS."""
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="tandem-results-") as folder:
            wandering = Wandering(Path(folder), seed, RESULTS[result])
            try:
                for _ in range(_STEPS):
                    wandering.step()
                # Half of them end with what live and triggers have sent, which no last batch run makes good.
                wandering.settle(batch=result == "sliding" or seed % 2 == 0)
                _check(wandering.story, result)
            finally:
                wandering.story.close()


def check_changes_meanwhile() -> None:
    """What changes after a drainer has read, and is noted as waiting before it writes, is sent all the same."""
    with tempfile.TemporaryDirectory(prefix="tandem-results-") as folder:
        story = Story(Path(folder) / "v.db", definition_of(RESULTS["fixed"]))
        story.serve()
        story.live(Event(0.1))
        story.deliver()
        story.wait(10)
        drainer = Drainer(story.store, story.compiled)
        seen = drainer._read("r", BEGIN, story.now, Cursor())
        assert seen is not None
        story.live(Event(0.2))
        expand_due(story.store.database, story.compiled.definition, BEGIN, story.now)
        drainer._write("r", seen, story.now)
        story.wait(10)
        assert [message["results"]["n"] for message in story.deliver()] == [2]
        story.close()


def _check(story: Story, result: str) -> None:
    check_revisions(story.output.sent)
    check_received(story)
    check_final(story)
    assert story.outbox() == []
    if result == "where":
        known = {place: values for place, values in answers(story).items() if values["n"] > 1 and values["amount"] < 9}
        assert {place: values for place, values in story.last().items() if values is not None} == known
        return
    check_answers(story)
    if result == "discarding":
        assert _texts(added_up(story.output.sent).values()) == _texts(story.last().values())


def _texts(values: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(each or {"n": 0, "amount": 0}, sort_keys=True) for each in values)
