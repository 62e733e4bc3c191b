"""Rules of the state machine for results: deliverers and drainers that die, are replaced and wake up."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import rule

from state_machine.live_rules import PICK
from state_machine.rules import Machine
from tandem.journal.clocks import SECOND
from tandem.schemas.errors import StoreError
from tandem.verification.deliveries import DELIVERIES
from tandem.verification.delivering import Delivery
from tandem.verification.world.live_run import Crash
from tandem.views.results.revisions.draining import Drainer

__all__ = ["HAPPENINGS", "ResultsMachine"]

HAPPENINGS = (*DELIVERIES, "deliverer dies", "deliverer dies", "drainer dies", "pane drains")


KINDS = st.lists(st.sampled_from(HAPPENINGS), min_size=2, max_size=5)


class ResultsMachine(Machine):
    """The same machine with a receiver of its results, whose laws hold after every delivery."""

    made: Delivery | None = None

    @property
    def delivery(self) -> Delivery:
        """Of this example's world."""
        if self.made is None:
            clock = self.world.clock
            self.made = Delivery(self.world.store, self.world.compiled, clock.wall, clock.advance)
        return self.made

    def some(self, kinds: list[str], pick: int) -> None:
        """What may become of results, between two steps of everything else."""
        for kind in kinds:
            self.result(kind, pick)
            self.note(kind, self.delivery.receiver.received)

    results = rule(kinds=KINDS, pick=PICK)(some)
    more_results = rule(kinds=KINDS, pick=PICK)(some)

    @rule(pick=PICK)
    def events_and_results(self, pick: int) -> None:
        """Everything goes through, up to the receiver: what most of the time happens."""
        self.flow(pick)
        self.world.clock.advance(2 * SECOND)
        self.delivery.deliver()
        self.note("deliver", self.delivery.receiver.received)

    def result(self, kind: str, pick: int) -> None:
        drainer = Drainer(self.world.store, self.world.compiled)
        if kind == "deliverer dies":
            self.world.fuse.light(1 + pick % 4, before=bool(pick % 2))
            with suppress(Crash):
                self.delivery.deliverer.run_once()
            type(self).happened["deliverer survives"] += self.world.fuse.out()
            self.delivery.replace(while_it_sends=False)
        elif kind == "drainer dies":
            self.world.fuse.light(1 + pick % 3, before=bool(pick % 2))
            with suppress(Crash):
                drainer.drain(self.world.clock.wall())
            self.world.fuse.out()
        elif kind == "pane drains":
            with suppress(StoreError):
                drainer.drain(self.world.clock.wall())
        else:
            self.delivery.step(kind, pick)

    def settle(self) -> None:
        """Everything is read, served and sent: what was sent last is what is answered."""
        super().settle()
        self.delivery.settle()
        type(self).happened["compared"] += self.delivery.compared
        type(self).happened["received"] += self.delivery.receiver.received
        type(self).happened["copies"] += self.delivery.receiver.copies
