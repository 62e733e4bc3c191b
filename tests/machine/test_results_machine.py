"""The state machine with results: whatever dies, is repeated or wakes up, what was sent last is what is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from breaking.breaks import BREAKS
from state_machine.result_rules import ResultsMachine
from state_machine.run import run_machine

from tandem.verification.mismatch import Mismatch

EXAMPLES = 20
ENOUGH = 100
LEAST = {
    **dict.fromkeys(["deliver", "deliverer dies", "deliverer is replaced", "deliverer wakes up", "drainer stops"], 1),
    **dict.fromkeys(["answer is lost", "output fails", "publish view", "restart", "zombie", "prune", "end"], 1),
    **dict.fromkeys(["promote", "promote dies"], 1),
    "compared": 30,
    "compared beside": 10,
    "received": 50,
}
"""How often each must happen in ENOUGH examples."""


@pytest.mark.timeout(0)  # as many examples as were asked for
def test_laws_hold(pytestconfig: pytest.Config) -> None:
    """Revisions count on, timing never falls, one state has one key, and the last revision is the answer."""
    option: Callable[..., Any] = pytestconfig.getoption
    examples = option("machine_examples", default=None) or EXAMPLES
    shrink = bool(option("machine_shrink", default=None))
    seed = option("machine_seed", default=None) or 0
    _, happened = run_machine(examples, seed, shrink=shrink, machine=ResultsMachine)
    if examples >= ENOUGH:
        short = {what: happened[what] for what, least in LEAST.items() if happened[what] < least}
        assert not short, f"rules that hardly happened: {short}; all: {dict(happened)}"


TEETH = {"moves_make_nothing_due": 0, "promotions_make_nothing_due": 3}
"""What is broken, and a seed from which that takes few examples."""


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("broken", "seed"), TEETH.items(), ids=TEETH)
def test_teeth(monkeypatch: pytest.MonkeyPatch, broken: str, seed: int) -> None:
    BREAKS[broken](monkeypatch)
    with pytest.raises(Mismatch):
        run_machine(ENOUGH, seed, machine=ResultsMachine)
