"""The state machine with rules: whatever dies, is repeated or wakes up, settled alerts are those of a backtest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from breaking.decision_breaks import DECISION_BREAKS
from state_machine.alert_rules import AlertsMachine
from state_machine.run import run_machine

from tandem.verification.mismatch import Mismatch

EXAMPLES = 10
ENOUGH = 100
LEAST = {
    **dict.fromkeys(["deliver", "deliverer dies", "deliverer is replaced", "deliverer wakes up", "drainer stops"], 1),
    **dict.fromkeys(["answer is lost", "output fails", "publish view", "restart", "zombie", "rules change", "end"], 1),
    "settled alerts": 50,
    "received": 50,
}
"""How often each must happen in ENOUGH examples."""


@pytest.mark.timeout(0)  # as many examples as were asked for
def test_laws_hold(pytestconfig: pytest.Config) -> None:
    """Each state of an alert is recorded once and sent, none falls back, and what is settled is the backtest's."""
    option: Callable[..., Any] = pytestconfig.getoption
    examples = option("machine_examples", default=None) or EXAMPLES
    shrink = bool(option("machine_shrink", default=None))
    seed = option("machine_seed", default=None) or 0
    _, happened = run_machine(examples, seed, shrink=shrink, machine=AlertsMachine)
    assert happened["settled alerts"]
    if examples >= ENOUGH:
        short = {what: happened[what] for what, least in LEAST.items() if happened[what] < least}
        assert not short, f"rules that hardly happened: {short}; all: {dict(happened)}"


def test_a_break_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    DECISION_BREAKS["nothing-is-put-into-the-outbox"](monkeypatch)
    with pytest.raises(Mismatch, match="never sent"):
        run_machine(EXAMPLES, 0, machine=AlertsMachine)
