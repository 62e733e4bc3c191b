"""Rules of a definition are verified with it: at each boundary settled alerts are a backtest's, and all are sent."""

from __future__ import annotations

import pytest
from breaking.decision_breaks import DECISION_BREAKS
from without_runner.alert_stories import rules_definition, rules_text
from without_runner.verified import run_text

from tandem.schemas.time.instants import instant_of
from tandem.verification.alerts import with_rules_near
from tandem.verification.mismatch import Mismatch

RULES = {
    "patient and grouped": "{r: {window: 1m, expr: n >= 1, keep_firing_for: 1m, early: 5s, to: log}, "
    "g: {window: 1m, expr: n >= 2, group_by: [], to: log}}",
    "usual": "{r: {window: 1m, expr: 'n >= coalesce(baseline.n, 1)', "
    "baseline: {season: none, periods: 3, min_periods: 1}, to: log}}",
    "without data": "{r: {window: 1m, expr: 'n >= 100', no_data: alert, for: 1m, forget: 10m, to: log}}",
}


def run(kind: str, seed: int) -> int:
    """How many settled alerts were compared."""
    return run_text(rules_text(RULES[kind], lateness="1m"), seed).alerts


@pytest.mark.parametrize("kind", RULES)
def test_settled_alerts_are_a_backtests(kind: str) -> None:
    assert run(kind, 2) > 0


TEETH = {
    "nothing-is-put-into-the-outbox": ("patient and grouped", 1),
}
"""A kind of rules and a seed at which it is seen."""


@pytest.mark.parametrize("name", TEETH)
def test_a_break_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    DECISION_BREAKS[name](monkeypatch)
    with pytest.raises(Mismatch):
        run(*TEETH[name])


@pytest.mark.parametrize(
    ("since", "becomes"),
    [
        pytest.param("2013-12-01", "2026-01-03T00:00:00Z", id="years before the sample"),
        pytest.param("2026-01-04", "2026-01-04", id="a day before it"),
        pytest.param("2027-01-01", "2027-01-01", id="after it"),
        pytest.param(None, None, id="as soon as there is one"),
    ],
)
def test_rules_begin_shortly_before_the_sample(since: str | None, becomes: str | None) -> None:
    """A decade of empty windows would be judged at every step."""
    first = f", from: '{since}'" if since else ""
    compiled = rules_definition("{r: {window: 1m, expr: n >= 1" + first + ", to: log}}")
    near = with_rules_near(compiled.definition, instant_of("2026-01-05"))
    assert near.rules["r"].since == becomes
