"""Rules of the state machine for results: deliverers and drainers that die, are replaced and wake up."""

from __future__ import annotations

import copy
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from state_machine.laws import NAME
from state_machine.live_rules import PICK
from state_machine.model import TEXT
from state_machine.rules import Machine
from state_machine.world import MachineWorld
from tandem.journal.clocks import SECOND
from tandem.pipelines.delivery.sources import Due
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.errors import StoreError
from tandem.verification.deliveries import DELIVERIES
from tandem.verification.delivering import Delivery
from tandem.verification.world.live_run import Crash
from tandem.views.results.revisions.draining import Drainer

__all__ = ["HAPPENINGS", "DeliveriesMachine", "ResultsMachine"]

HAPPENINGS = (*DELIVERIES, "deliverer dies", "deliverer dies", "drainer dies", "pane drains")


OTHER = TEXT.replace("where: amount >= 0", "where: amount >= 2").replace(
    "highest: {max: amount}", "highest: {max: amount}\n  lowest: {min: amount}"
)
"""The next version: some events don't count in it, so that windows are withdrawn, and it has a measure more."""

KINDS = st.lists(st.sampled_from(HAPPENINGS), min_size=2, max_size=5)


class DeliveriesMachine(Machine):
    """The same machine with a receiver of what it sends, whose laws hold after every delivery."""

    made: Delivery | None = None

    @property
    def delivery(self) -> Delivery:
        """Of this example's world."""
        if self.made is None:
            clock = self.world.clock
            self.made = Delivery(self.world.store, self.world.compiled, self.world.blobs, clock.wall, clock.advance)
        return self.made

    def drainer(self) -> Due:
        """Somebody who works off what is due beside the deliverer."""
        return Drainer(self.world.store, self.world.compiled)

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
        drainer = self.drainer()
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


class ResultsMachine(DeliveriesMachine):
    """It sends results, and other versions of the definition do so too."""

    @precondition(lambda self: not self.live.behind)
    @rule(kinds=KINDS, dies=st.sampled_from(["", "", "before", "after"]), pick=PICK)
    def promote(self, kinds: list[str], dies: str, pick: int) -> None:
        """Another version is served, by batch, and sends; then the first one is again, whose live has gone on."""
        self.flow(pick)
        self.seal(pick)
        if self.sealed <= self.world.boundary:
            return
        self.build(self.sealed - self.world.boundary - 1, False)
        self.publish_view(0, "")
        first = self.world.store.publishing.served(NAME)
        other = _of_version(self.world, OTHER)
        work, promote = other.build(self.sealed), self.world.store.publishing.promote
        if first is None or first.boundary != self.sealed or work is None:
            return
        self.some(kinds, pick)
        if dies:
            self.world.fuse.light(1, before=dies == "before")
        for _ in range(2):  # who was killed promotes again
            if self._serves(other):
                break
            self.move_pointer("promote", lambda: promote(NAME, other.definition.version, work.batch_run, None))
        if self._serves(other):
            try:
                self._send_beside(other, pick)
            finally:
                self.world.store.publishing.roll_back(NAME, first.ordinal, live_run=first.live_run)

    def _serves(self, other: MachineWorld) -> bool:
        served = self.world.store.publishing.served(NAME)
        return served is not None and served.version == other.definition.version

    def _send_beside(self, other: MachineWorld, pick: int) -> None:
        """What another version sends, to the same receiver; an earlier deliverer or maker of results may wake up."""
        clock, first = self.world.clock, self.delivery
        beside = Delivery(other.store, other.compiled, other.blobs, clock.wall, clock.advance, first.receiver)
        if pick % 2:
            first.deliverer.run_once()
            first.go_on()
        beside.replace(while_it_sends=bool(pick % 3))
        if pick % 4 == 1:
            self.flow(pick)
        if pick % 8 == 2:  # some of it is left to the first version, which is served again by then
            beside.deliver()
        else:
            beside.settle()
        first.replace(while_it_sends=False)
        type(self).happened["compared beside"] += beside.compared


def _of_version(world: MachineWorld, text: str) -> MachineWorld:
    """The same world, of another version of its definition: journal and store are shared, batch runs are its own."""
    other = copy.copy(world)
    other.definition, other.text, other.built = loads(text), text, []
    other.compiled = compile_definition(other.definition)
    other.store.definitions.register(other.compiled, text)
    return other
