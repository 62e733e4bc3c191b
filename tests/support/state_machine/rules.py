"""The state machine: rules over journal, live runs, view store and pointer; laws that hold after every step."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from state_machine.batch_rules import BatchRules
from state_machine.laws import Serving, Trace, store_folder
from state_machine.model import START, Event
from state_machine.world import MachineLive, MachineWorld

__all__ = ["Machine", "Trace"]


class Machine(BatchRules):
    """One world, and how it begins."""

    @initialize(seed=st.integers(0, 999), lanes=st.integers(1, 2), sales=st.integers(0, 6))
    def begin(self, seed: int, lanes: int, sales: int) -> None:
        self.trace: Trace = []
        type(self).traces.append(self.trace)
        self.world = MachineWorld(store_folder(type(self)), seed, lanes, type(self).shards)
        self.now = START
        self.sent: list[tuple[Event, str]] = []
        self.replaced: list[MachineLive] = []
        self.checkpoint: Callable[[], None] | None = None
        self.served: dict[tuple[str, int], int] = {}
        self.dropped: set[tuple[str, int]] = set()
        self.seed, self.sealed, self.looks, self.repairs = seed, 0, 0, 0
        self.serving = Serving()
        self.checked: tuple[int, int] = (-1, -1)
        self.note("begin", lanes)
        self.send(sales, 1)
