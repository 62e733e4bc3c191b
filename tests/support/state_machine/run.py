"""Running the state machine: any number of examples from a seed, and what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.stateful import run_state_machine_as_test

import tandem.transforms.sinks.retrying
from state_machine.rules import Machine, Trace
from tandem.views.layers.rollups import planning, rolling

__all__ = ["STEPS", "run_machine", "undisturbed"]

STEPS = 12
"""Of one example, at most."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Nothing but the seed decides what happens.

    A store that refuses is not tried again for minutes: here nobody else holds it. And hypothesis doesn't mix in the
    numbers that it finds in the source of whatever modules are loaded, which are others in each process.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tandem.transforms.sinks.retrying, "RETRY_FOR", 0.0)
        for module in (rolling, planning):  # worlds so small hardly ever have four times fewer rows an hour
            patch.setattr(module, "SHRINK", 1)
        patch.setattr(HypothesisProvider, "_maybe_draw_constant", lambda *choice, **options: None)
        yield


def run_machine(
    examples: int,
    start: int,
    *,
    shrink: bool = False,
    several: Sequence[int] = (1,),
    machine: type[Machine] = Machine,
) -> tuple[list[Trace], Counter[str]]:
    """Run examples from a seed; returns their traces, and what happened how often.

    `several` are the numbers of shards that runs have, one after the other; `machine` may have more rules.

    Raises AssertionError with the first example that breaks a law; `traces` of what ran until then are lost with it.
    """

    class OneRun(machine):  # type: ignore[misc, valid-type]
        happened: ClassVar[Counter[str]] = Counter()
        traces: ClassVar[list[Trace]] = []
        shards: ClassVar[Sequence[int]] = several

    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        phases=phases,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    with undisturbed():
        run_state_machine_as_test(seed(start)(OneRun), settings=chosen)
    return OneRun.traces, OneRun.happened
