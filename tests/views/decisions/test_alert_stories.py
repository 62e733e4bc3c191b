"""Guarantee 7: at each boundary settled episodes are the backtest's; each state is recorded once, and sent."""

from __future__ import annotations

import pytest
from without_runner.alert_seeds import RULES, check_alerts


@pytest.mark.parametrize("kind", RULES)
def test_seeded_stories(kind: str) -> None:
    assert check_alerts(kind, (1, 2)) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_a_hundred_stories(kind: str) -> None:
    check_alerts(kind, range(3, 20))
