"""Seeded stories of results: whatever happens, once nothing is due the last revision of each window and key is its
answer, and revisions never go back.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from breaking.fuses import Fuse
from oracles.result_laws import added_up, answers, check_answers, check_final, check_received, check_revisions

from tandem.schemas.time.durations import MINUTE
from tandem.verification.world.live_run import Crash
from tandem.views.results.due.choosing import Cursor
from tandem.views.results.due.expanding import expand_due
from tandem.views.results.revisions.draining import Drainer
from without_runner.result_stories import BEGIN, Event, Story, definition_of
from without_runner.wandering import Wandering, Way

__all__ = ["RESULTS", "check_changes_meanwhile", "check_results"]

RESULTS = {
    "fixed": "{window: 2m, trigger: {early: 10s}, lateness: 3m, to: log}",
    "on-time": "{window: 2m, trigger: {late: 1m}, lateness: 3m, mode: retracting, to: log}",
    "sliding": "{window: {size: 3m, every: 1m}, trigger: {early: 5s, late: never}, lateness: 1m, to: log}",
    "session": "{window: {session: 2m}, trigger: {early: 10s}, mode: retracting, to: log}",
    "discarding": "{window: 1m, trigger: {early: 5s}, mode: discarding, to: log}",
    "where": "{window: 2m, trigger: {early: 10s}, where: n > 1 AND amount < 9, to: log}",
}
_STEPS = 45


class WanderingResults(Wandering[Story]):
    """One story, drawn from a seed."""

    around, amounts = (-4, -2, -1, 0, 0.5, 1), (-3, 5)

    def __init__(self, folder: Path, seed: int, result: str) -> None:
        super().__init__(Story(folder / "v.db", definition_of(result)), seed)
        self.stale: tuple[Drainer, Any] | None = None

    def ways(self) -> Sequence[Way]:
        return (
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

    def publish(self) -> None:
        self.story.live(*(self.event() for _ in range(self.choose.randint(1, 3))))

    def fail(self) -> None:
        self.story.output.fails = self.choose.choice(["", "", "away"])
        self.story.output.loses_answers = self.choose.random() < 0.2

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
        self.story.output.fails, self.story.output.loses_answers = "", False
        self.story.watermark(self.minutes + 1_000)
        if batch:
            self.settle_all(self.minutes + 1_000)
        self.take_over()
        for _ in range(3):
            self.story.wait(600)
            self.deliver()


def check_results(result: str, seeds: Sequence[int]) -> None:
    """Seeded stories of one of RESULTS."""
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="tandem-results-") as folder:
            wandering = WanderingResults(Path(folder), seed, RESULTS[result])
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
