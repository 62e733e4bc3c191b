"""Seeded stories of alerts: whatever happens, at each boundary the settled episodes are the backtest's, one to one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.time.durations import MINUTE
from tandem.views.decisions import parts
from tandem.views.decisions.draining import Decider
from tandem.views.decisions.progress import Progress, read_progress
from tandem.views.decisions.tables import decision_receipts
from tandem.views.results.clocks import BEGINNING
from without_runner.alert_stories import AlertStory, rules_definition
from without_runner.result_stories import BEGIN
from without_runner.wandering import Wandering, Way

__all__ = ["RULES", "check_alerts", "check_parts", "wandered"]

RULES = {
    "plain": "{r: {window: 1m, expr: n >= 2, to: log}}",
    "patient": "{r: {window: 1m, expr: n >= 2, for: 1m, keep_firing_for: 2m, recover: n < 2, early: 5s, to: log}}",
    "usual": "{r: {window: 1m, expr: 'n > coalesce(baseline.n, 1)', "
    "baseline: {season: none, periods: 3, min_periods: 1}, to: log}}",
    "steady": "{r: {window: 1m, expr: 'n > coalesce(baseline.n, 1)', "
    "baseline: {season: none, periods: 4, min_periods: 1, without_alerts: true}, to: log}}",
    "waiting": "{r: {window: 1m, expr: n >= 2, partial: wait, "
    "group_by: [], group_wait: 1s, group_interval: 9s, to: log}}",
    "sliding": "{r: {window: {size: 3m, every: 1m}, expr: amount > 6, no_data: keep, early: 5s, to: log}}",
    "gone": "{r: {window: 1m, expr: 'n < 2', no_data: alert, for: 1m, forget: 4m, to: log}}",
    "two": "{r: {window: 2m, expr: n >= 3, to: log}, "
    "s: {window: 1m, expr: n >= 2, inhibited_by: r, min_events: 2, to: log}}",
}
_CHANGED = {"plain": ("n >= 2", "n >= 3"), "patient": ("for: 1m", "for: 2m"), "usual": ("periods: 3", "periods: 2")}
_STEPS = 45


class WanderingAlerts(Wandering[AlertStory]):
    """One story, drawn from a seed."""

    around, amounts = (-3, -1, 0, 0, 0.5), (1, 5)

    def __init__(self, folder: Path, seed: int, kind: str) -> None:
        super().__init__(AlertStory(folder / "v.db", rules_definition(RULES[kind])), seed)
        self.kind = kind
        self.stale: tuple[Decider, list[Any]] | None = None
        self.rival: tuple[CompiledDefinition, Decider] | None = None
        self.boundaries = 0
        self.was_changed = False

    def ways(self) -> Sequence[Way]:
        return (
            (self.publish, 9),
            (self.come_late, 2),
            (self.go_on, 5),
            (self.seal, 3),
            (self.backfill, 3),
            (self.roll_back, 1),
            (self.deliver, 8),
            (self.wait, 3),
            (self.fail, 2),
            (self.take_over, 1),
            (self.read_now_and_write_later, 2),
            (self.change, 1),
            (self.decide_beside, 3),
        )

    def publish(self) -> None:
        """Events of tiles that the watermark has passed are late, as a lane says."""
        events = [self.event() for _ in range(self.choose.randint(1, 4))]
        late = [event for event in events if int(event.at) + 1 <= self.minutes]
        self.story.too_late(*late)
        self.story.live(*(event for event in events if event not in late))

    def backfill(self) -> None:
        before = self.boundary
        super().backfill()
        if self.boundary > before and not self.story.output.fails and self.choose.random() < 0.7:
            self.check_boundary()

    def fail(self) -> None:
        self.story.output.fails = self.choose.choice(["", "", "away"])

    def read_now_and_write_later(self) -> None:
        """A process that stops between reading and writing: what it writes then is either of now, or not written."""
        if self.stale is None:
            decider = Decider(self.story.store, self.story.compiled)
            over = BEGIN + int(self.minutes * MINUTE)
            self.stale = decider, [(rule, decider._read(rule, over, self.story.now)) for rule in decider._rules]
            return
        (decider, held), self.stale = self.stale, None
        for rule, seen in held:
            if seen is not None:
                decider._write(rule, seen, self.story.now)

    def decide_beside(self) -> None:
        """A second process, which goes on all the time, decides before the first: neither knows of the other."""
        if self.rival is None or self.rival[0] is not self.story.compiled:
            self.rival = self.story.compiled, Decider(self.story.store, self.story.compiled)
        self.rival[1].drain(self.story.now)

    def change(self) -> None:
        """The rule is another one from now on; once a story."""
        if self.was_changed or self.kind not in _CHANGED:
            return
        self.was_changed = True
        self.story.change(RULES[self.kind].replace(*_CHANGED[self.kind]))
        self.story.deliver()

    def check_boundary(self) -> None:
        self.take_over()
        self.story.deliver()
        assert self.story.settled() == self.story.backtested()
        check_parts(self.story)
        self.boundaries += 1

    def settle(self) -> None:
        """Let everything through: the output takes all in, and every window is settled."""
        if self.stale is not None:
            self.read_now_and_write_later()
        self.story.output.fails = ""
        self.minutes += 20
        self.story.watermark(self.minutes)
        self.settle_all(self.minutes)
        self.story.wait(600)
        self.check_boundary()
        self.story.wait(600)
        self.story.deliver()


def check_alerts(kind: str, seeds: Sequence[int]) -> int:
    """Seeded stories of one of RULES; how many boundaries were compared."""
    boundaries = 0
    for seed in seeds:
        with wandered(kind, seed) as wandering:
            boundaries += wandering.boundaries
    return boundaries


@contextmanager
def wandered(kind: str, seed: int) -> Iterator[WanderingAlerts]:
    """A seeded story of one of RULES that has been told to its end, and checked."""
    with tempfile.TemporaryDirectory(prefix="tandem-alerts-") as folder:
        wandering = WanderingAlerts(Path(folder), seed, kind)
        try:
            for _ in range(_STEPS):
                wandering.step()
            wandering.settle()
            _check(wandering.story)
            yield wandering
        finally:
            wandering.story.close()


def _check(story: AlertStory) -> None:
    """Each state of an episode was recorded once and sent at least once, and no two episodes are one."""
    assert story.outbox() == []
    assert not [row for row in story.episodes() if row.state == "TENTATIVE"], "all is settled"
    told: dict[tuple[str, int], dict[str, Any]] = {}
    for message in _each_alert(story.output.sent):
        place = (message["episode"], message["revision"])
        assert told.setdefault(place, message) == message, "one revision of two states"
    assert len({message["id"] for message in told.values()}) == len(told), "one id for two states"
    recorded = _recorded(story)
    assert {place for place, receipt in recorded.items() if "kept_back" not in receipt and _is_sent(receipt)} <= {*told}
    assert {*told} <= {*recorded}, "sent, and not recorded"
    for row in story.episodes():
        assert [revision for episode, revision in recorded if episode == row.id] == list(range(1, row.revision + 1))


def check_parts(story: AlertStory) -> None:
    """The rows of verdicts are those that all verdicts make at once: what stands before each part is of all before."""
    name, database = story.compiled.definition.name, story.store.database
    with database.read() as connection:
        progress = read_progress(connection, name)
        for rule in compile_rules(story.compiled, story.compiled.definition.rules):
            if rule.name in progress and progress[rule.name].unshown is None:
                _check_rule(rule, progress[rule.name], parts.stored_verdicts(connection, name, rule.name, BEGINNING))


def _check_rule(rule: CompiledRule, progress: Progress, stored: list[parts.StoredPart]) -> None:
    at_once = parts.on_grid((row._replace(before="") for row in stored), rule.rule.window, BEGINNING)
    over = [] if progress.over_to is None else [progress.over_to]
    at_once = at_once.widened(rule.rule.window, (), over if len(at_once.keys) else ())
    expected = parts.all_parts(rule, at_once, parts.part_of(rule, progress.over_to))
    assert sorted(stored) == sorted(expected.written)


def _each_alert(sent: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of alerts, also those that came together."""
    return [alert for message in sent for alert in message.get("alerts", [message])]


def _is_sent(receipt: dict[str, Any]) -> bool:
    return "superseded_by" not in receipt


def _recorded(story: AlertStory) -> dict[tuple[str, int], dict[str, Any]]:
    r = decision_receipts.c
    with story.store.database.read() as connection:
        rows = connection.execute(sa.select(decision_receipts).order_by(r.episode, r.revision)).all()
    return {(row.episode, row.revision): json.loads(row.receipt) for row in rows}
