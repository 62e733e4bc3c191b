"""Alerts on PostgreSQL: the named stories and seeded ones are told as on SQLite, and settled as a backtest has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.postgres_stories import stories_on_postgres
from without_runner import alert_cases as alerts
from without_runner.alert_seeds import RULES, check_alerts

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(scope="module")
def postgres() -> Iterator[None]:
    pytest.importorskip("psycopg", reason="psycopg isn't installed")
    try:
        with stories_on_postgres():
            yield
    except LookupError as why:
        pytest.skip(str(why))


SHORT = (alerts.confirmed, alerts.merged, alerts.superseded, alerts.grouped, alerts.who_was_overtaken_writes_nothing)


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.__name__)
def test_alerts(postgres: None, case: Callable[[Path], None], tmp_path: Path) -> None:
    case(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in alerts.CASES if case not in SHORT], ids=lambda case: case.__name__)
def test_more_alerts(postgres: None, case: Callable[[Path], None], tmp_path: Path) -> None:
    case(tmp_path)


def test_a_seeded_story(postgres: None) -> None:
    assert check_alerts("waiting", (1,)) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_more_seeded_stories(postgres: None, kind: str) -> None:
    check_alerts(kind, range(2, 8))
