"""Rules of the state machine for alerts: those of results, with rules of a definition that change meanwhile."""

from __future__ import annotations

from contextlib import suppress

from hypothesis.stateful import precondition, rule

from state_machine.live_rules import PICK
from state_machine.model import TEXT
from state_machine.result_rules import DeliveriesMachine
from tandem.pipelines.delivery.sources import Due
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.errors import PublishRefusedError
from tandem.verification.delivering import Delivery
from tandem.views.decisions.draining import Decider

__all__ = ["AlertsMachine"]

_BUSY = "  busy: {window: 10s, expr: count >= 2, keep_firing_for: 10s, early: 1s, to: log}\n"
_USUAL = (
    "  usual: {window: 10s, expr: 'amount > coalesce(baseline.amount, 1)', "
    "baseline: {season: none, periods: 3, min_periods: 1}, to: log}\n"
)
_GONE = (
    "  gone: {window: 20s, expr: count >= 100, no_data: alert, for: 20s, forget: 2m, partial: wait, "
    "group_by: [], group_wait: 1s, to: log}\n"
)
_RULES = (
    _BUSY + _USUAL + _GONE,
    _BUSY.replace("count >= 2", "count >= 3") + _USUAL + _GONE,
    _BUSY.replace("count >= 2", "count >= 1") + _USUAL.replace("periods: 3", "periods: 2"),
)
"""One after the other: the second has another rule, of the third one more is another, and one is gone."""
_COMPILED = tuple(compile_definition(loads(TEXT[: TEXT.index("results:")] + "rules:\n" + text)) for text in _RULES)


class AlertsMachine(DeliveriesMachine):
    """The same machine with rules instead of results: settled alerts are a backtest's after every delivery."""

    changes = 0

    @property
    def delivery(self) -> Delivery:
        """Of this example's world."""
        if self.made is None:
            world = self.world
            self.made = Delivery(world.store, _COMPILED[0], world.blobs, world.clock.wall, world.clock.advance)
        return self.made

    def drainer(self) -> Due:
        """Somebody who decides beside the deliverer."""
        return Decider(self.world.store, self.delivery.compiled)

    @precondition(lambda self: self.serving.run is not None and self.changes + 1 < len(_RULES))
    @rule(pick=PICK)
    def rules_change(self, pick: int) -> None:
        """Deliverers from now on have other rules; now and then one that had the ones before sleeps."""
        if pick % 4 == 0:
            self.delivery.step("drainer stops", pick)
        self.changes += 1
        self.delivery.change(_COMPILED[self.changes])
        self.delivery.deliver()
        self.note("rules change", self.changes)

    def settle(self) -> None:
        """Everything is read, batch has it, and what it settles is a backtest's."""
        for _ in range(3):  # a watermark is stored with what comes after it
            self.message("leap", 19)
            self.send(2, 1)
            self.pull(0)
        super().settle()
        self.sealed = self.world.index().sealed
        if self.sealed > self.world.boundary:
            with suppress(PublishRefusedError):
                self.build(255, False)
                self.publish_view(0, "")
            self.delivery.settle()
        type(self).happened["settled alerts"] += self.delivery.alerts.compared
