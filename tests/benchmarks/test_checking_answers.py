"""The oracle is right, and every way of being wrong is seen."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.inputs.clicks import Shape, arrivals
from benchmarks.measuring.checking import compare, oracle, read_answers

MINUTE = 60_000_000


@pytest.fixture(scope="module")
def events() -> pa.Table:
    return pa.Table.from_batches(arrivals(Shape(5_000, users=300, pages=7)))


@pytest.fixture(scope="module")
def truth(events: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    path = tmp_path_factory.mktemp("oracle") / "0.parquet"
    pq.write_table(events, path)
    return oracle(("page",), [path])


def test_oracle_is_what_python_adds_up_exactly(events: pa.Table, truth: pl.DataFrame) -> None:
    once = {row["event_id"]: row for row in events.to_pylist()}
    assert len(once) == 5_000 < events.num_rows
    groups = defaultdict[tuple[str, int], list[tuple[float, int]]](list)
    for row in once.values():
        tile = round(row["event_time"].timestamp()) // 60 * MINUTE
        micros = int(row["event_time"].timestamp() * 1_000_000) // MINUTE * MINUTE
        assert abs(tile - micros) <= MINUTE
        groups[row["page"], micros].append((row["amount"], row["user_id"]))
    expected = {
        key: (len(pairs), math.fsum(a for a, _ in pairs), min(pairs)[0], max(pairs)[0], len({u for _, u in pairs}))
        for key, pairs in groups.items()
    }
    rows = truth.select("page", "tile", "events", "amount", "least", "most", "users").rows()
    assert {row[:2]: row[2:] for row in rows} == expected
    for row in truth.iter_rows(named=True):
        assert row["mean"] == pytest.approx(row["amount"] / row["events"], rel=1e-15)


def changed(truth: pl.DataFrame, name: str, value: float | int | None) -> pl.DataFrame:
    column = truth[name].to_list()
    column[3] = value
    return truth.with_columns(pl.Series(name, column, truth.schema[name]))


def one_ulp(truth: pl.DataFrame, name: str) -> pl.DataFrame:
    return changed(truth, name, float(np.nextafter(truth[name][3], math.inf)))


RIGHT_ENOUGH = [
    pytest.param(lambda t: t, 0.0, True, id="the-same"),
    pytest.param(lambda t: t.reverse(), 0.0, True, id="another-order"),
    pytest.param(lambda t: one_ulp(t, "amount"), 0.0, False, id="float-sum-one-ulp-off"),
    pytest.param(lambda t: changed(t, "users", t["users"][3] + 2), 0.02, True, id="estimate-within-its-error"),
    pytest.param(lambda t: t.with_columns(pl.from_epoch("tile", "us")), 0.0, True, id="tile-as-timestamp"),
    pytest.param(
        lambda t: t.with_columns(pl.from_epoch("tile", "us").dt.replace_time_zone("UTC")), 0.0, True, id="tile-in-utc"
    ),
    pytest.param(lambda t: t.with_columns(pl.from_epoch("tile", "us").cast(pl.Datetime("ns"))), 0.0, True, id="nanos"),
]


@pytest.mark.parametrize(("change", "error", "exact"), RIGHT_ENOUGH)
def test_right(truth: pl.DataFrame, change: object, error: float, exact: bool) -> None:
    assert callable(change)
    assert compare(change(truth), truth, ("page",), error=error, exact_sums=exact).wrong is None


WRONG = [
    pytest.param(lambda t: changed(t, "events", t["events"][3] + 1), 0.0, False, "events of 1 answers", id="events"),
    pytest.param(lambda t: one_ulp(t, "amount"), 0.0, True, "amount of 1 answers", id="exact-sum-one-ulp-off"),
    pytest.param(lambda t: one_ulp(t, "mean"), 0.0, True, "mean of 1 answers", id="exact-mean-one-ulp-off"),
    pytest.param(
        lambda t: changed(t, "amount", t["amount"][3] * (1 + 1e-8)), 0.0, False, "amount of 1", id="float-sum-off"
    ),
    pytest.param(lambda t: one_ulp(t, "least"), 0.0, False, "least of 1 answers", id="least"),
    pytest.param(lambda t: one_ulp(t, "most"), 0.0, False, "most of 1 answers", id="most"),
    pytest.param(lambda t: changed(t, "users", t["users"][3] + 1), 0.0, False, "users of 1 answers", id="exact-users"),
    pytest.param(lambda t: changed(t, "users", 3 * t["users"][3] + 9), 0.02, False, "users of 1", id="estimate-off"),
    pytest.param(lambda t: changed(t, "mean", math.nan), 0.0, False, "mean of 1 answers", id="not-a-number"),
    pytest.param(lambda t: changed(t, "amount", None), 0.0, False, "amount of 1 answers", id="null"),
    pytest.param(lambda t: t[1:], 0.0, False, "answers, of which", id="one-missing"),
    pytest.param(
        lambda t: pl.concat([t, t[:1].with_columns(page=pl.lit("/other"))]), 0.0, False, "of which", id="one-too-many"
    ),
    pytest.param(lambda t: pl.concat([t, t[:1]]), 0.0, False, "has two answers", id="one-twice"),
    pytest.param(lambda t: t.with_columns(pl.col("tile") + MINUTE), 0.0, False, "of which", id="a-minute-later"),
]


@pytest.mark.parametrize(("change", "error", "exact", "told"), WRONG)
def test_wrong(truth: pl.DataFrame, change: object, error: float, exact: bool, told: str) -> None:
    assert callable(change)
    wrong = compare(change(truth), truth, ("page",), error=error, exact_sums=exact).wrong
    assert wrong is not None
    assert told in wrong


def test_distinct_error_is_the_root_mean_square(truth: pl.DataFrame) -> None:
    assert (truth["users"] >= 30).any()
    tenth = truth.with_columns(users=pl.col("users") * 1.1)
    assert compare(tenth, truth, ("page",), error=0.1, exact_sums=True).distinct_error == pytest.approx(0.1)


def test_without_answers(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(FileNotFoundError, match="it left no answers"):
        read_answers(tmp_path)
