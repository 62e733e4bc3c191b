"""Bytewax: batches of a file's rows, a fold over tumbling windows of event time, two processes.

Copies of an event have the same key and minute, so the fold itself leaves them out by the ids that it holds, and
no state for each event id is kept beside it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import fastavro
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from benchmarks.peers.contract import Task, task

_ROWS = 1_000
Event = tuple[str, datetime, float, int, str]
Pair = tuple[str, Event]


class Rows(StatefulSourcePartition[Pair, None]):  # type: ignore[misc]
    """Yields the rows of a file, _ROWS at a time."""

    def __init__(self, task: Task, file: str) -> None:
        self._batches = _batches(task, file)

    def next_batch(self) -> list[Pair]:
        return next(self._batches)

    def snapshot(self) -> None:
        return None


class Files(FixedPartitionedSource[Pair, None]):  # type: ignore[misc]
    """A partition for each file."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def list_parts(self) -> list[str]:
        return list(self.task.files)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Rows:
        return Rows(self.task, for_part)


def _batches(task: Task, file: str) -> Iterator[list[Pair]]:
    start = datetime(1970, 1, 1, tzinfo=UTC)

    def pair(row: dict[str, Any]) -> Pair:
        time = row["event_time"]
        time = start + timedelta(microseconds=time) if isinstance(time, int) else time
        # Keys of a keyed stream are strings.
        key = json.dumps([row[name] for name in task.keys]) if len(task.keys) > 1 else str(row[task.keys[0]])
        return key, (row["event_id"], time, row["amount"], row["user_id"], "")

    if task.form == "parquet":
        for batch in pq.ParquetFile(file).iter_batches(_ROWS, columns=task.columns):
            # A time in an Arrow time zone does not travel between processes.
            at = batch.schema.get_field_index("event_time")
            micros = batch.set_column(at, "event_time", batch.column(at).cast(pa.int64()))
            yield [pair(row) for row in micros.to_pylist()]
        return
    with open(file, "rb") as lines:
        rows = map(orjson.loads, lines) if task.form == "jsonl" else fastavro.reader(lines)
        while batch := list(islice(rows, _ROWS)):
            yield [pair(row) for row in batch]


class Answers(StatelessSinkPartition[Any]):  # type: ignore[misc]
    """Writes answers as lines of one file for each worker."""

    def __init__(self, task: Task, worker: int) -> None:
        self._file = (task.out / f"answers-{worker}.jsonl").open("wb")
        self._keys = task.keys

    def write_batch(self, items: list[Any]) -> None:
        for key, (window, state) in items:
            parts = json.loads(key) if len(self._keys) > 1 else [int(key) if self._keys[0] == "user_id" else key]
            total = sum(state.amounts)
            row = {
                **dict(zip(self._keys, parts, strict=True)),
                "tile": window * 60_000_000,
                "events": len(state.amounts),
                "amount": total,
                "least": min(state.amounts),
                "most": max(state.amounts),
                "mean": total / len(state.amounts),
                "users": len(state.users),
            }
            self._file.write(orjson.dumps(row) + b"\n")

    def close(self) -> None:
        self._file.close()


class AnswerFiles(DynamicSink[Any]):  # type: ignore[misc]
    """An Answers for each worker."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Answers:
        return Answers(self.task, worker_index)


class State:
    """The state of a key in a window."""

    __slots__ = ("amounts", "ids", "users")

    def __init__(self) -> None:
        self.ids, self.amounts, self.users = set[str](), list[float](), set[int]()


def _fold(state: State, event: Event) -> State:
    if event[0] not in state.ids:
        state.ids.add(event[0])
        state.amounts.append(event[2])
        state.users.add(event[3])
    return state


def _merge(left: State, right: State) -> State:
    for identity in right.ids:
        left.ids.add(identity)
    left.amounts += right.amounts
    left.users |= right.users
    return left


def flow(task: Task) -> Dataflow:
    """The dataflow over the task's files."""
    # Events are up to 60 s behind and copies up to 30 s later; files are read side by side: the hour.
    wait = timedelta(minutes=2) if len(task.files) == 1 else timedelta(hours=2)
    clock = win.EventClock(lambda event: event[1], wait_for_system_duration=wait)
    start = datetime(1970, 1, 1, tzinfo=UTC)
    minutes = win.TumblingWindower(length=timedelta(minutes=1), align_to=start)
    dataflow = Dataflow("clicks")
    events = op.input("events", dataflow, Files(task))
    windows = win.fold_window("minutes", events, clock, minutes, State, _fold, _merge, ordered=False)
    op.output("answers", windows.down, AnswerFiles(task))
    return dataflow


def _free_addresses() -> list[str]:
    """Two addresses at which no process listens."""
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("localhost", 0))
        return [f"localhost:{one.getsockname()[1]}" for one in (first, second)]


def run(process: int) -> None:
    """Run one of two processes; the first one starts the other."""
    one = task()
    dataflow = flow(one)
    addresses = os.environ.get("BENCHMARK_ADDRESSES", "").split() or _free_addresses()
    other = None
    if process == 0:
        command = [sys.executable, "-m", "benchmarks.peers.bytewax_flow", *sys.argv[1:]]
        other = subprocess.Popen(command, env={**os.environ, "BENCHMARK_ADDRESSES": " ".join(addresses)})
        one.ready()
    cli_main(dataflow, process_id=process, addresses=addresses)
    if other is not None:
        if other.wait():
            raise SystemExit("the second process failed")
        one.done()


if __name__ == "__main__":
    run(1 if "BENCHMARK_ADDRESSES" in os.environ else 0)
