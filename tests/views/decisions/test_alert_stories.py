"""Guarantee 7: at each boundary settled episodes are the backtest's; each state is recorded once, and sent."""

from __future__ import annotations

import pytest
from without_runner.alert_cases import parts_of
from without_runner.alert_seeds import RULES, check_alerts


@pytest.mark.parametrize("kind", RULES)
def test_seeded_stories(kind: str) -> None:
    assert check_alerts(kind, (1, 2)) >= 2


@pytest.mark.parametrize("windows", [2, 3])
@pytest.mark.parametrize("kind", RULES)
def test_stories_whose_verdicts_lie_in_many_parts(kind: str, windows: int) -> None:
    with parts_of(windows):
        assert check_alerts(kind, (windows, windows + 1)) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("windows", [1, 2, 5])
@pytest.mark.parametrize("kind", RULES)
def test_more_stories_in_many_parts(kind: str, windows: int) -> None:
    with parts_of(windows):
        check_alerts(kind, range(30, 40))


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_a_hundred_stories(kind: str) -> None:
    check_alerts(kind, range(3, 20))
