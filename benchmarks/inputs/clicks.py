"""The clicks of all benchmarks, generated from a seed; files of them are kept and made only once.

One hour of events with `event_time` up to 60 s behind their arrival, 100,000 users and 1,000 pages by Zipf's law,
20 countries; 2 % of the events are sent twice, the copy up to 30 s after the first.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import fastavro
import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyruhvro

from benchmarks.inputs.journals import write_journal

__all__ = [
    "DEFINITIONS",
    "FILE_FORMS",
    "FORMS",
    "JOURNAL_FORMS",
    "SCHEMA_FILE",
    "Shape",
    "arrivals",
    "avro_messages",
    "cache_folder",
    "clicks",
    "files",
    "json_messages",
]

START: Final = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z in microseconds UTC."""
HOUR: Final = 3_600_000_000
DISORDER: Final = 60_000_000
SCHEMA_FILE: Final = Path(__file__).resolve().parent / "clicks.avsc"
DEFINITIONS: Final = {
    name: Path(__file__).resolve().parent / f"{name}.yaml" for name in ("clicks", "clicks_wide", "clicks_users")
}
FILE_EVENTS: Final = 1_000_000
"""Distinct events of a file."""
_BLOCK_BYTES: Final = 64_000
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class Shape:
    """The sizes of a set of clicks."""

    events: int
    """Distinct events; copies are added to them."""
    users: int = 100_000
    pages: int = 1_000
    seed: int = 1
    copies: float = 0.02

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.events}-{self.users}-{self.pages}-{self.seed}-{self.copies}"


def clicks(shape: Shape, first: int, count: int) -> pa.RecordBatch:
    """Distinct events number `first` to `first + count`, in the order in which they arrive, in the hour's
    proportional part.
    """
    random = np.random.default_rng([shape.seed, first])
    arrival = START + np.sort(
        random.integers(HOUR * first // shape.events, HOUR * (first + count) // shape.events, count)
    )
    time = np.maximum(arrival - random.integers(0, DISORDER, count), START)
    user = _zipf(random, shape.users, 1.05, count)
    page = _zipf(random, shape.pages, 1.1, count)
    amount = np.round(random.lognormal(3.0, 1.0, count), 2)
    pages = pa.array([f"/page/{number:04d}" for number in range(shape.pages)])
    countries = pa.array([f"{a}{b}" for a in "ABCD" for b in "EFGHI"])
    return pa.record_batch(
        {
            "event_id": _ids(random, first, count),
            "event_time": pa.array(time, pa.timestamp("us", "UTC")),
            "user_id": pa.array(user),
            "page": pages.take(pa.array(page)),
            "country": countries.take(pa.array(_zipf(random, 20, 1.2, count))),
            "amount": pa.array(amount),
        }
    )


def arrivals(shape: Shape) -> Iterator[pa.RecordBatch]:
    """All events in the order of their arrival, FILE_EVENTS distinct ones at a time, with the copies among them."""
    for first in range(0, shape.events, FILE_EVENTS):
        count = min(FILE_EVENTS, shape.events - first)
        events = clicks(shape, first, count)
        random = np.random.default_rng([shape.seed, first, 2])
        again = np.flatnonzero(random.random(count) < shape.copies)
        delay = random.integers(1, max(round(30e6 / HOUR * shape.events), 2), len(again))
        place = np.concatenate([np.arange(count, dtype=np.float64), np.minimum(again + delay, count) + 0.5])
        order = np.argsort(place, kind="stable")
        yield events.take(pa.array(np.concatenate([np.arange(count), again])[order]))


def _zipf(random: np.random.Generator, size: int, exponent: float, count: int) -> npt.NDArray[np.int64]:
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(count)).astype(np.int64)


def _ids(random: np.random.Generator, first: int, count: int) -> pa.Array:
    """16 hexadecimal digits: 8 of a hash of the event's number, and 8 random ones; all different."""
    number = (np.arange(first, first + count, dtype=np.uint64) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    value = (number << np.uint64(32)) | random.integers(0, 1 << 32, count, dtype=np.uint64)
    digits = (value[:, None] >> np.arange(60, -4, -4, dtype=np.uint64)) & np.uint64(15)
    text = pa.py_buffer(np.ascontiguousarray(_HEX[digits.astype(np.int64)]))
    return pa.StringArray.from_buffers(count, pa.py_buffer(np.arange(0, 16 * count + 1, 16, dtype=np.int32)), text)


def avro_messages(events: pa.RecordBatch) -> list[bytes]:
    """Each event as an Avro message without header."""
    schema = SCHEMA_FILE.read_text()
    return [bytes(one) for part in pyruhvro.serialize_record_batch(events, schema, 1) for one in part.to_pylist()]


def json_messages(events: pa.RecordBatch) -> list[bytes]:
    """Each event as a JSON object, its time in microseconds."""
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in events.columns]
    return _json_text(pa.record_batch(columns, events.schema.names)).split(b"\n")[:-1]


def _json_text(events: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    pl.from_arrow(events).write_ndjson(sink)  # type: ignore[union-attr]
    return sink.getvalue()


def _write_parquet(path: Path, events: pa.RecordBatch) -> None:
    pq.write_table(pa.Table.from_batches([events]), path, row_group_size=1 << 17)


def _write_jsonl(path: Path, events: pa.RecordBatch) -> None:
    path.write_bytes(b"\n".join(json_messages(events)) + b"\n")


def _write_avro(path: Path, events: pa.RecordBatch, codec: str = "null") -> None:
    """Blocks of about 64 kB, as most writers make them."""
    schema = orjson.loads(SCHEMA_FILE.read_bytes())
    with path.open("wb") as file:
        fastavro.writer(file, schema, [], codec=codec, sync_marker=b"tandem-benchmark")
        messages = avro_messages(events)
        per_block = max(_BLOCK_BYTES * len(messages) // sum(map(len, messages)), 1)
        for start in range(0, len(messages), per_block):
            part = messages[start : start + per_block]
            data = b"".join(part)
            if codec == "deflate":
                squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
                data = squeeze.compress(data) + squeeze.flush()
            file.write(_long(len(part)) + _long(len(data)) + data + b"tandem-benchmark")


def _write_deflated(path: Path, events: pa.RecordBatch) -> None:
    _write_avro(path, events, "deflate")


def _long(value: int) -> bytes:
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


FILE_FORMS: Final[dict[str, tuple[str, Callable[[Path, Any], None]]]] = {
    "parquet": ("parquet", _write_parquet),
    "jsonl": ("jsonl", _write_jsonl),
    "avro": ("avro", _write_avro),
    "avro-deflate": ("avro", _write_deflated),
}
"""By name of the form: file ending and writer."""
JOURNAL_FORMS: Final = {
    "journal-json": (json_messages, 1),
    "journal-json-2": (json_messages, 2),
    "journal-json-4": (json_messages, 4),
    "journal-avro": (avro_messages, 1),
}
"""By name of the form: the payloads of the messages in the journal, and its lanes."""
FORMS: Final = (*FILE_FORMS, *JOURNAL_FORMS)


def cache_folder() -> Path:
    """The folder of generated files: TANDEM_BENCH_DATA, or a folder in the user's cache."""
    return Path(os.environ.get("TANDEM_BENCH_DATA") or Path.home() / ".cache" / "tandem" / "benchmarks")


def files(shape: Shape, form: str) -> list[Path]:
    """The files of all events in one form, or the folder of the journal; made at the first call."""
    folder = cache_folder() / shape.name / form
    if not folder.exists():
        fresh = folder.with_name(f".{form}-{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        _write(fresh, shape, form)
        fresh.rename(folder)
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _write(folder: Path, shape: Shape, form: str) -> None:
    if form in JOURNAL_FORMS:
        payloads, lanes = JOURNAL_FORMS[form]
        write_journal(folder / "journal", (payloads(events) for events in arrivals(shape)), START + HOUR, lanes)
        return
    ending, write = FILE_FORMS[form]
    for number, events in enumerate(arrivals(shape)):
        write(folder / f"{number:04d}.{ending}", events)


def main() -> None:
    """Make files and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    options = parser.parse_args()
    for path in files(Shape(options.events, options.users), options.form):
        print(path)


if __name__ == "__main__":
    main()
