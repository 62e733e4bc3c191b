"""Backtests for a server: what the command says over the installation's journal, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from samples.asked_home import DEFINITION, SCHEMA, sales_journal

from tandem.schemas.errors import UserError
from tandem.serving.outcomes.backtesting import Backtest, run_backtest

TEXT = DEFINITION.replace("sale.avsc", json.dumps(SCHEMA)) + (
    "rules: {sold: {window: 2m, expr: n >= params.least, params: {least: 99}, to: log}}\n"
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sales")
    sales_journal(folder / "journal")
    return folder / "journal"


@pytest.mark.parametrize(
    ("asked", "alerts"),
    [
        pytest.param(Backtest(), 0, id="as declared"),
        pytest.param(Backtest(["sold"], {"least": "1"}), 1, id="with another number"),
    ],
)
def test_rules_are_tried_on_the_journal(journal: Path, asked: Backtest, alerts: int) -> None:
    found = asyncio.run(run_backtest("sales", TEXT, str(journal), asked))
    assert [(each["rule"], len(each["alerts"])) for each in found] == [("sold", alerts)]


def test_what_the_command_refuses_is_told(journal: Path) -> None:
    with pytest.raises(UserError, match="no rule 'loud'"):
        asyncio.run(run_backtest("sales", TEXT, str(journal), Backtest(["loud"])))


def test_a_journal_in_a_bucket_is_refused() -> None:
    with pytest.raises(UserError, match="bucket"):
        asyncio.run(run_backtest("sales", TEXT, "gs://bucket/journal", Backtest()))
