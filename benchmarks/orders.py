"""Millions of states: orders of a month by shop and by customer, beside DuckDB and Polars.

`python -m benchmarks.orders --events 1000000,10000000 --keys shop,customer`. Keys aren't skewed: every shop and every
customer is as likely as the next, so that with five-minute tiles nearly every order is a state of its own by customer.
Each engine removes copies by the order's id and reads the same Parquet files, one after the other, round by round. All
values of all states are compared; disk usage is sampled while Tandem works.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.inputs.clicks import cache_folder
from benchmarks.measuring.measure import measured
from benchmarks.measuring.order_values import Values, values_of
from benchmarks.measuring.results import RESULTS, Row, median, record

__all__ = ["KEYS", "main", "order_files", "orders", "work_seconds"]

HERE: Final = Path(__file__).resolve().parent
KEYS: Final = {"shop": 25, "customer": 50_000}
"""Number of distinct values by key."""
_START: Final = 1_767_225_600_000_000
_SPAN: Final = 30 * 86_400_000_000
_FILE_EVENTS: Final = 1_000_000
_WORK: Final = re.compile(r"batch run .* took in .* in ([\d.]+) s,")
"""The duration that a backfill reports at its end."""


def orders(first: int, count: int, events: int) -> pa.RecordBatch:
    """Orders number `first` to `first + count` of `events`, in the order of their time, over a month."""
    random = np.random.default_rng([11, first])
    times = _START + np.sort(random.integers(_SPAN * first // events, _SPAN * (first + count) // events, count))
    return pa.record_batch(
        {
            "order_id": pa.array(np.arange(first, first + count)),
            "ordered_at": pa.array(times, pa.timestamp("us", "UTC")),
            "shop_id": pa.array(random.integers(0, KEYS["shop"], count), pa.int32()),
            "customer_id": pa.array(random.integers(0, KEYS["customer"], count), pa.int32()),
            "items": pa.array(random.integers(1, 9, count), pa.int32()),
            "price": pa.array(np.round(random.lognormal(3.0, 1.0, count), 2)),
        }
    )


def order_files(events: int) -> list[Path]:
    """Parquet files of `events` orders, made once."""
    folder = cache_folder() / f"orders-{events}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for first in range(0, events, _FILE_EVENTS):
        path = folder / f"{first:010d}.parquet"
        if not path.exists():
            part = path.with_suffix(".part")
            pq.write_table(pa.Table.from_batches([orders(first, min(_FILE_EVENTS, events - first), events)]), part)
            part.rename(path)
        paths.append(path)
    return paths


def duckdb_answers(paths: Sequence[str], key: str, out: Path) -> None:
    """One statement, on all threads."""
    import duckdb

    duckdb.sql(
        f"""
        COPY (
            SELECT {key}_id, time_bucket(INTERVAL 5 minutes, ordered_at) AS tile, count(*) AS orders,
                sum(items) AS items, sum(price) AS revenue, min(price) AS least, max(price) AS most
            FROM (SELECT order_id, any_value(ordered_at) AS ordered_at, any_value({key}_id) AS {key}_id,
                    any_value(items) AS items, any_value(price) AS price
                FROM read_parquet({list(paths)}) GROUP BY order_id)
            GROUP BY {key}_id, tile
        ) TO '{out}' (FORMAT parquet)
        """
    )


def polars_answers(paths: Sequence[str], key: str, out: Path) -> None:
    """One lazy query, on all threads."""
    price, tile = pl.col("price"), pl.col("ordered_at").dt.truncate("5m").alias("tile")
    query = (
        pl.scan_parquet(list(paths))
        .select("order_id", "ordered_at", f"{key}_id", "items", "price")
        .unique("order_id", keep="any")
        .group_by(f"{key}_id", tile)
        .agg(
            pl.len().alias("orders"),
            pl.col("items").cast(pl.Int64).sum(),
            price.sum().alias("revenue"),
            price.min().alias("least"),
            price.max().alias("most"),
        )
    )
    query.collect().write_parquet(out)


PEERS: Final[dict[str, Callable[[Sequence[str], str, Path], None]]] = {
    "duckdb": duckdb_answers,
    "polars": polars_answers,
}


class _Disk(threading.Thread):
    """Samples the bytes of a folder and keeps the maximum."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._ended, self.peak = folder, threading.Event(), 0

    def run(self) -> None:
        while not self._ended.wait(0.2):
            self.peak = max(self.peak, size_of(self._folder))

    def end(self) -> int:
        """Stop sampling; returns the maximum."""
        self._ended.set()
        self.join()
        return max(self.peak, size_of(self._folder))


def size_of(folder: Path) -> int:
    """Bytes on disk of all files below a folder."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_blocks * 512 if path.is_file() else 0
        except FileNotFoundError:
            continue
    return found


def work_seconds(output: str) -> float:
    """The seconds of work in a backfill's output. Raises RuntimeError if it reports none."""
    found = _WORK.search(output)
    if found is None:
        raise RuntimeError(output)
    return float(found[1])


def _tandem(paths: Sequence[Path], key: str, folder: Path, more: Sequence[str]) -> dict[str, float]:
    definition, watch = HERE / f"orders_by_{key}.yaml", _Disk(folder)
    files = [word for path in paths for word in ("--files", str(path))]
    command = [sys.executable, "-m", "tandem", "backfill", "--home", str(folder), "--definition", str(definition)]
    watch.start()
    took = measured([*command, *files, *more], cwd=HERE.parent, log=folder.with_suffix(".log"))
    peak = watch.end()
    if took.exit_code:
        raise RuntimeError(took.output)
    figures = {"work_s": work_seconds(took.output), "wall_s": took.wall_s, "cpu_s": took.cpu_s, "peak_mb": took.peak_mb}
    return {**figures, "disk_peak_mb": round(peak / 1e6), "disk_mb": round(size_of(folder) / 1e6)}


def _peer(name: str, paths: Sequence[Path], key: str, out: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.orders", "--peer", name, "--keys", key, "--out", str(out)]
    took = measured([*command, *map(str, paths)], cwd=HERE.parent, log=out.with_suffix(".log"))
    if took.exit_code:
        raise RuntimeError(took.output)
    work = float(took.output.split()[-1])
    return {"work_s": work, "wall_s": took.wall_s, "cpu_s": took.cpu_s, "peak_mb": took.peak_mb}


def main(arguments: list[str] | None = None) -> int:
    """Measure the cases that the flags choose; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orders", description=__doc__)
    parser.add_argument("--events", default="1000000", help="how many orders, with commas (default: 1000000)")
    parser.add_argument("--keys", default="shop,customer")
    parser.add_argument("--rounds", type=int, default=1, help="samples of each engine, taken by turns (default: 1)")
    parser.add_argument("--tandem", default="", help="more flags of tandem backfill, as one word")
    parser.add_argument("--engines", default="tandem,duckdb,polars")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--peer", choices=sorted(PEERS), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peer:
        begun = time.monotonic()
        PEERS[options.peer](options.paths, options.keys, options.out)
        print(round(time.monotonic() - begun, 2))
        return 0
    engines, more = options.engines.split(","), options.tandem.split()
    rows = []
    for events in map(int, options.events.split(",")):
        for key in options.keys.split(","):
            rows += _compared(engines, events, key, more, options.rounds)
    record("orders", rows, folder=options.results)
    return 0


def _compared(engines: Sequence[str], events: int, key: str, more: Sequence[str], rounds: int) -> list[Row]:
    """A row an engine. Raises RuntimeError if an engine has a wrong count, or another value than another engine."""
    samples: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    answers: dict[str, Values] = {}
    for _ in range(rounds):
        for engine in engines:
            figures, values = _sample(engine, events, key, more)
            print(engine, key, f"{events:,}", figures, values, flush=True)
            samples[engine].append(figures)
            if values.events != events:
                raise RuntimeError(f"WRONG: {engine} counted {values.events:,} of {events:,} orders")
            if others := [name for name, known in answers.items() if known != values]:
                raise RuntimeError(f"WRONG: {engine} has {values}, {others[0]} has {answers[others[0]]}")
            answers[engine] = values
    return [_row(engine, events, key, samples, answers[engine].states) for engine in engines]


def _row(engine: str, events: int, key: str, samples: dict[str, list[dict[str, float]]], states: int) -> Row:
    """The engine's figures, and the ratios of another engine's median work and processor time to its own."""
    taken = {name: {figure: [one[figure] for one in some] for figure in some[0]} for name, some in samples.items()}
    times = {
        f"{figure.removesuffix('_s')}_by_{other}": round((median(taken[engine][figure]) or 0) / middle, 2)
        for other in taken
        for figure in ("work_s", "cpu_s")
        if other != engine and (middle := median(taken[other][figure]))
    }
    return Row({"engine": engine, "key": key, "events": events}, {**taken[engine], **times, "states": states})


def _sample(engine: str, events: int, key: str, more: Sequence[str]) -> tuple[dict[str, float], Values]:
    """(figures of one run, all its values)."""
    paths = order_files(events)
    with tempfile.TemporaryDirectory(prefix="tandem-orders-", dir=cache_folder()) as folder:
        if engine == "tandem":
            home = Path(folder, "home")
            home.mkdir()
            figures = _tandem(paths, key, home, more)
            files = sorted(home.glob("layers/*/*/*.arrow"))
            if not files:
                raise RuntimeError(
                    f"{events:,} orders by {key} are rows of the database: --tandem '--layer-threshold 0'"
                )
            return figures, values_of(files, key, "__tile_start")
        out = Path(folder, "answers.parquet")
        return _peer(engine, paths, key, out), values_of([out], key, "tile")


if __name__ == "__main__":
    raise SystemExit(main())
