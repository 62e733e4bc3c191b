"""How many results a second are made and delivered: `python -m benchmarks.parts.delivery`.

Live has counted events of many keys in some minutes, and the watermark passes them all at once: every key and minute is
due. One deliverer makes the revisions, then reads them from the outbox, publishes them to the embedded Pub/Sub (another
process), and forgets them. Then they are pulled, and each must be there once, with its answer. Seconds are
of the clock; processor seconds of 1,000 results are the deliverer's, which a busy machine lengthens less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from google.cloud import pubsub_v1

from benchmarks.measuring.results import RESULTS, Row, record
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.pipelines.delivery.outputs import writer_of
from tandem.schemas.columns import GENERATION, ID, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.states import aggregate
from tandem.schemas.time.durations import MINUTE, SECOND
from tandem.transforms.elements import FoldUpdate, SegmentTally, Tally
from tandem.transforms.routing.seen_ids import ids_batch, merge_sorted
from tandem.views.results.revisions.draining import Drainer
from tandem.views.storage.database import wall_clock
from tandem.views.store import ViewStore

__all__ = ["main", "measure"]

_TOPIC: Final = "projects/benchmark/topics/results"
_SUBSCRIPTION: Final = "projects/benchmark/subscriptions/results"
_BEGIN: Final = 1_767_600_000 * SECOND
_TEXT: Final = f"""
name: visits
source:
  schema:
    type: record
    name: Visit
    fields:
      - {{name: id, type: string}}
      - {{name: at, type: {{type: long, logicalType: timestamp-micros}}}}
      - {{name: user, type: string}}
      - {{name: amount, type: long}}
  format: json
  event_id: id
  event_time: at
key: [user]
tile: 1m
lateness: 0s
measures: {{visits: count, amount: {{sum: amount}}, most: {{max: amount}}}}
results: {{per_minute: {{window: 1m, to: {{pubsub: {_TOPIC}}}}}}}
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and record; the exit code is 1 if a result is missing or wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parts.delivery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keys", type=int, default=5_000)
    parser.add_argument("--minutes", type=int, default=4)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    row, wrong = measure(options.keys, options.minutes)
    print(", ".join(f"{name} {value}" for name, value in row.figures.items()))
    record("delivery", [row], folder=options.results)
    if wrong:
        print(f"WRONG: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def measure(keys: int, minutes: int) -> tuple[Row, str]:
    """(the figures, the first error in the received results)."""
    compiled, results = compile_definition(loads(_TEXT)), keys * minutes
    with _emulator(), tempfile.TemporaryDirectory(prefix="tandem-delivery-") as folder:
        store = ViewStore(str(Path(folder) / "views.db"))
        _write(store, compiled, keys, minutes)
        deliverer = Deliverer(store, compiled, "benchmark")
        (output,) = compiled.definition.results["per_minute"].to
        writer_of(output.label, compiled)  # what it loads is loaded once
        making = _timed(lambda: Drainer(store, compiled).drain(wall_clock()))
        sending = _timed(deliverer.run_once)
        store.close()
        wrong = _wrong(keys, minutes)
    figures = {
        "delivered_per_s": round(results / (making.wall + sending.wall)),
        "made_per_s": round(results / making.wall),
        "sent_per_s": round(results / sending.wall),
        "processor_s_of_1000": round(1e3 * (making.processor + sending.processor) / results, 3),
        "processor_s_of_1000_sent": round(1e3 * sending.processor / results, 3),
    }
    return Row({"keys": keys, "minutes": minutes, "results": results}, figures), wrong


@dataclass(frozen=True)
class _Time:
    """Wall-clock seconds, and processor seconds of this process."""

    wall: float
    processor: float


def _timed(work: Callable[[], object]) -> _Time:
    begun = time.perf_counter(), time.process_time()
    work()
    return _Time(time.perf_counter() - begun[0], time.process_time() - begun[1])


def _write(store: ViewStore, compiled: CompiledDefinition, keys: int, minutes: int) -> None:
    """Write one event of each key in each minute, as live does, and a watermark behind them."""
    store.definitions.register(compiled, _TEXT)
    version = compiled.version
    store.live.start(version, "L")
    store.publishing.serve_live("visits", version, "L")
    for minute in range(minutes):
        tile, none = _BEGIN + minute * MINUTE, ids_batch(merge_sorted([]))
        block = _block(compiled, keys, minute)
        update = FoldUpdate(tile, 0, block, (Tally(1, keys, 0, 0),), (), none, none, "early")
        store.live.write(compiled, "L", [update])
        store.live.write_segments(version, "L", [SegmentTally("L/0", minute, 1, keys, keys, 0, 0, ())])
    store.live.set_watermark(version, "L", _BEGIN + minutes * MINUTE)


def _block(compiled: CompiledDefinition, keys: int, minute: int) -> pa.RecordBatch:
    times = pa.array(np.full(keys, _BEGIN + minute * MINUTE + SECOND, np.int64))
    ids = pa.array([f"{minute}-{number}" for number in range(keys)])
    columns = {
        "id": ids,
        "at": times.cast(pa.timestamp("us", "UTC")),
        "user": pa.array([f"user{number}" for number in range(keys)]),
        "amount": pa.array(np.arange(keys) + minute),
        TIME: times,
        ID: ids,
    }
    schema = compiled.events_schema
    batch = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
    events = compiled.prepare(batch).events
    return aggregate(compiled.measures, events.append_column(GENERATION, pa.array(np.ones(keys, np.int64))))


def _wrong(keys: int, minutes: int) -> str:
    """The first error in the messages, each of which must be there once."""
    found: dict[tuple[str, str], Any] = {}
    count = 0
    with pubsub_v1.SubscriberClient() as subscriber:
        while reply := subscriber.pull(subscription=_SUBSCRIPTION, max_messages=1_000).received_messages:
            for each in reply:
                message = json.loads(each.message.data)
                found[message["start"], message["key"]["user"]] = message["results"]
            count += len(reply)
            subscriber.acknowledge(subscription=_SUBSCRIPTION, ack_ids=[each.ack_id for each in reply])
    expected = [
        {"visits": 1, "amount": number + minute, "most": number + minute}
        for minute in range(minutes)
        for number in range(keys)
    ]
    values = [values for _, values in sorted(found.items(), key=lambda item: (item[0][0], int(item[0][1][4:])))]
    return "" if values == expected and count == len(expected) else f"{count} messages of {len(expected)} results"


@contextmanager
def _emulator() -> Iterator[None]:
    """Pub/Sub in a separate process, with topic and subscription; this process is its client."""
    command = [sys.executable, "-m", "tandem.emulator", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    before = os.environ.get("PUBSUB_EMULATOR_HOST")
    try:
        server.stdout.readline()
        os.environ["PUBSUB_EMULATOR_HOST"] = server.stdout.readline().strip().partition("=")[2]
        pubsub_v1.PublisherClient().create_topic(name=_TOPIC)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=_SUBSCRIPTION, topic=_TOPIC, ack_deadline_seconds=60)
        yield
    finally:
        server.terminate()
        server.wait()
        os.environ.pop("PUBSUB_EMULATOR_HOST", None)
        if before is not None:
            os.environ["PUBSUB_EMULATOR_HOST"] = before


if __name__ == "__main__":
    sys.exit(main())
