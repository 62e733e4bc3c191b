"""Sales in data files of every format, and in a journal of sealed generations."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from samples import sales
from samples.sales import SECOND, Sale
from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import ManualClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.avro.types import arrow_schema
from tandem.transforms.sources.decoding import observe, source_readings


def write_jsonl(path: Path, items: Sequence[Sale]) -> None:
    path.write_bytes(b"".join(sale.payload() + b"\n" for sale in items))


def write_avro(path: Path, items: Sequence[Sale]) -> None:
    with path.open("wb") as file:
        fastavro.writer(file, sales.definition().source.avro_schema, [sale.record() for sale in items])


def write_parquet(path: Path, items: Sequence[Sale]) -> None:
    rows = [sale.record() for sale in items]
    schema = arrow_schema(sales.definition().source.avro_schema)
    columns = {field.name: pa.array([row[field.name] for row in rows]).cast(field.type) for field in schema}
    pq.write_table(pa.table(columns), path)


def write_csv(path: Path, items: Sequence[Sale]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(items[0].record()))
        writer.writeheader()
        writer.writerows(sale.record() for sale in items)


WRITERS: dict[str, Callable[[Path, Sequence[Sale]], None]] = {
    "jsonl": write_jsonl,
    "avro": write_avro,
    "parquet": write_parquet,
    "csv": write_csv,
}


def write_journal(folder: Path, generations: Sequence[Sequence[bytes]], *, sealed: bool = True) -> None:
    """A run of one lane whose generation n holds the n-th payloads; all of them sealed, or all but the last."""
    definition = sales.definition()
    folder.mkdir(parents=True, exist_ok=True)
    blobs, clock = LocalBlobs(str(folder)), ManualClock()
    broker, version = MemoryBroker(clock), definition.source.version
    run = start_run(blobs, clock, lanes=1, subscription="projects/p/subscriptions/s", sources=[version], take_over=True)
    config = LaneConfig({version: definition.source.out_of_orderness}, until_idle=30 * SECOND)
    reader = LaneReader(blobs, run, 0, broker, clock, partial(observe, source_readings([definition])), config)
    for number, payloads in enumerate(generations):
        if number:
            reader.request_roll()
        clock.advance(SECOND)
        reader.advance()
        for payload in payloads:
            broker.publish(payload)
        reader.advance()
    if sealed:
        reader.drain()
        for _ in range(3):
            clock.advance(SECOND)
            reader.advance()
        assert reader.done
