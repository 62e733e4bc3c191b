"""The benchmark of orders: what it takes for a backfill's work, and that one wrong value of millions is found."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from benchmarks.drawing.order_plots import draw_orders
from benchmarks.measuring.order_values import values_of
from benchmarks.measuring.results import Figure, Row
from benchmarks.orders import duckdb_answers, orders, polars_answers, work_seconds

_LINES = """orders: 3 files, 0 segments: all 3,000,000 events are read in 11 s, their results are being written
orders: batch run b-1 took in 3,000,000 events of 3 files and 0 segments in 42.21 s, 0 dead letters
"""


def test_the_work_of_a_backfill_is_what_its_last_line_says() -> None:
    assert work_seconds(_LINES) == 42.21


def test_an_output_without_that_line_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="are read in 11 s"):
        work_seconds(_LINES.splitlines()[0])


def test_both_peers_have_equal_values(tmp_path: Path) -> None:
    found = [values_of([_answers(tmp_path, name)], "shop", "tile") for name in ("duckdb", "polars")]
    assert found[0] == found[1]
    assert found[0].events == 5_000


@pytest.mark.parametrize(
    "column", [pytest.param(name, id=name) for name in ("tile", "orders", "items", "revenue", "least", "most")]
)
def test_one_other_value_makes_another_digest(column: str, tmp_path: Path) -> None:
    path = _answers(tmp_path, "polars")
    right = values_of([path], "shop", "tile")
    frame = pl.read_parquet(path)
    more = pl.duration(minutes=5) if column == "tile" else pl.lit(1).cast(frame.schema[column])
    wrong = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.col(column) + more).otherwise(column).alias(column)
    )
    wrong.write_parquet(path)
    found = values_of([path], "shop", "tile")
    assert found.states == right.states
    assert found.digest != right.digest


def test_order_and_form_of_the_file_make_no_difference(tmp_path: Path) -> None:
    path = _answers(tmp_path, "polars")
    frame = pl.read_parquet(path).sort("revenue").rename({"tile": "__tile_start"})
    other = tmp_path / "layer.arrow"
    table = frame.to_arrow()
    with pa.ipc.new_file(str(other), table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    assert values_of([other], "shop", "__tile_start") == values_of([path], "shop", "tile")


def test_each_key_has_a_drawing_of_all_engines(tmp_path: Path) -> None:
    figures: dict[str, Figure] = {"work_s": [2.0, 3.0], "cpu_s": [3.0, 4.0], "states": 900_000}
    disk: dict[str, Figure] = {"disk_peak_mb": [190.0], "disk_mb": [120.0]}
    rows = [
        Row({"engine": engine, "key": key, "events": events}, {**figures, **(disk if engine == "tandem" else {})})
        for key in ("shop", "customer")
        for events in (1_000_000, 3_000_000)
        for engine in ("tandem", "duckdb")
    ]
    drawn = draw_orders(rows, tmp_path)
    assert [path.name for path in drawn] == ["orders-shop.svg", "orders-customer.svg"]
    for path in drawn:
        text = path.read_text()
        assert all(label in text for label in ("tandem", "duckdb", "linear", "at most", "at the end"))
    assert draw_orders([], tmp_path) == []


def _answers(folder: Path, engine: str) -> Path:
    read, out = folder / "orders.parquet", folder / f"{engine}.parquet"
    pl.DataFrame(orders(0, 5_000, 5_000)).write_parquet(read)
    {"duckdb": duckdb_answers, "polars": polars_answers}[engine]([str(read)], "shop", out)
    return out
