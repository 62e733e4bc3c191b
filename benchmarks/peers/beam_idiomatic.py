"""Beam as in its documentation: read, Distinct, WindowInto, CombinePerKey; on the FnApiRunner.

With `BENCHMARK_BEAM=folded` the start of the minute is made part of the key, and no window is used: what someone writes
who has found out that windows of single elements cost most of the time.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from benchmarks.peers.contract import Task, main

Accumulator = tuple[int, float, float, float, frozenset[int] | set[int]]
_KEY_TYPES = {"page": pa.string(), "country": pa.string(), "user_id": pa.int64()}
_MEASURES = {"events": pa.int64(), "amount": pa.float64(), "least": pa.float64(), "most": pa.float64(),
             "mean": pa.float64(), "users": pa.int64()}  # fmt: skip


class Statistics(beam.CombineFn):  # type: ignore[misc]
    """Count, sum, minimum, maximum, mean and distinct users of pairs (amount, user)."""

    def create_accumulator(self) -> Any:
        return 0, 0.0, float("inf"), float("-inf"), set()

    def add_input(self, accumulator: Any, element: tuple[float, int]) -> Any:
        count, total, least, most, users = accumulator
        amount, user = element
        users.add(user)
        return count + 1, total + amount, min(least, amount), max(most, amount), users

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        counts, totals, leasts, mosts, users = zip(*accumulators, strict=True)
        return sum(counts), sum(totals), min(leasts), max(mosts), set().union(*users)

    def extract_output(self, accumulator: Any) -> tuple[int, float, float, float, float, int]:
        count, total, least, most, users = accumulator
        return count, total, least, most, total / count if count else float("nan"), len(users)


def work(task: Task) -> None:
    """Build the pipeline, run it and wait."""
    names, folded = task.keys, os.environ.get("BENCHMARK_BEAM") == "folded"
    schema = pa.schema([*((name, _KEY_TYPES[name]) for name in names), ("tile", pa.int64()), *_MEASURES.items()])

    def event(row: dict[str, Any]) -> tuple[Any, ...]:
        time = row["event_time"]
        micros = time if isinstance(time, int) else round(time.timestamp() * 1e6)
        return row["event_id"], micros, tuple(row[name] for name in names), row["amount"], row["user_id"]

    def answer(pair: tuple[Any, Any], window: Any = beam.DoFn.WindowParam) -> dict[str, Any]:
        key, results = pair
        *key, tile = key if folded else (*key, window.start.micros)
        return dict(zip(schema.names, (*key, tile, *results), strict=True))

    options = PipelineOptions(["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        events = pipeline | "Read" >> _read(task) | "Event" >> beam.Map(event)
        # Once is once in the whole input too; before the windows it took far less processor time.
        events |= "Distinct" >> beam.Distinct()
        if not folded:
            events |= "Timestamp" >> beam.Map(lambda one: TimestampedValue(one, one[1] / 1e6))
            events |= "Minute" >> beam.WindowInto(FixedWindows(60))
            pairs = events | "Key" >> beam.Map(lambda one: (one[2], (one[3], one[4])))
        else:
            pairs = events | "Key" >> beam.Map(lambda e: ((*e[2], e[1] // 60_000_000 * 60_000_000), (e[3], e[4])))
        results = pairs | "Statistics" >> beam.CombinePerKey(Statistics()) | "Answer" >> beam.Map(answer)
        _ = results | "Write" >> beam.io.WriteToParquet(str(task.out / "answers"), schema, file_name_suffix=".parquet")


def _read(task: Task) -> beam.PTransform:
    pattern = os.path.join(os.path.dirname(task.files[0]), f"*{os.path.splitext(task.files[0])[1]}")
    if task.form == "parquet":
        return beam.io.ReadFromParquet(pattern, columns=task.columns)
    if task.form == "jsonl":
        return JsonLines(pattern)
    return beam.io.ReadFromAvro(pattern)


class JsonLines(beam.PTransform):  # type: ignore[misc]
    """Lines of text files, each a JSON object."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self.pattern = pattern

    def expand(self, begin: Any) -> Any:
        return begin | "Lines" >> beam.io.ReadFromText(self.pattern) | "Parse" >> beam.Map(json.loads)


if __name__ == "__main__":
    main(work)
