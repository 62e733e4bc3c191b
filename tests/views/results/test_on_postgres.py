"""The rules of results, their seeded stories and transcripts on PostgreSQL: the same, transaction by transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from oracles import result_checks
from servers.postgres_stories import stories_on_postgres
from without_runner.result_seeds import RESULTS, check_changes_meanwhile, check_results

pytestmark = pytest.mark.xdist_group("postgres")

CHECKS = {**result_checks.checks(), "check_changes_meanwhile": check_changes_meanwhile}


@pytest.fixture(scope="module")
def postgres() -> Iterator[None]:
    pytest.importorskip("psycopg", reason="psycopg isn't installed")
    try:
        with stories_on_postgres():
            yield
    except LookupError as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules(postgres: None, check: Callable[[], object]) -> None:
    check()


@pytest.mark.parametrize("result", RESULTS)
def test_seeded_stories(postgres: None, result: str) -> None:
    check_results(result, (1,))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("result", RESULTS)
def test_more_seeded_stories(postgres: None, result: str, seed: int) -> None:
    check_results(result, (seed,))
