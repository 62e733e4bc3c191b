"""Samples: from every format and from journals, with keys and tiles that have several events."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples.verify_samples import CLICKS, FLIGHTS, clicks, flights, write_lines

from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import ManualClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.errors import SourceFileError
from tandem.verification.oracle.oracle import Oracle
from tandem.verification.sample import Sample, read_sample

DEFINITION = load(CLICKS)


def take(*places: object, limit: int = 60, seed: int = 1) -> Sample:
    return read_sample(DEFINITION, [str(place) for place in places], limit, Random(seed))


def as_lines(folder: Path) -> Path:
    return Path(write_lines(folder / "clicks.jsonl", clicks()))


def as_csv(folder: Path) -> Path:
    records = clicks()
    lines = [",".join(records[0]), *(",".join(str(value) for value in record.values()) for record in records)]
    (folder / "clicks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "clicks.csv"


def as_parquet(folder: Path) -> Path:
    table = pa.Table.from_pylist(clicks())
    times = table.column("event_time").cast(pa.timestamp("us", "UTC"))
    pq.write_table(table.set_column(1, "event_time", times), folder / "clicks.parquet")
    return folder / "clicks.parquet"


def as_avro(folder: Path) -> Path:
    with (folder / "clicks.avro").open("wb") as file:
        fastavro.writer(file, DEFINITION.source.avro_schema, clicks())
    return folder / "clicks.avro"


def as_journal(folder: Path) -> Path:
    blobs, clock = LocalBlobs(str(folder / "journal")), ManualClock()
    broker = MemoryBroker(clock)
    for record in clicks():
        broker.publish(json.dumps(record).encode())
    broker.publish(b"no click")
    run = start_run(blobs, clock, lanes=1, subscription="s", sources={"x"}, definitions=[], boundary=0)
    reader = LaneReader(blobs, run, 0, broker, clock, lambda batch: (None, {"x": 0}), LaneConfig({"x": 0}))
    reader.advance()
    return folder


@pytest.mark.parametrize("write", [as_lines, as_csv, as_parquet, as_avro, as_journal])
def test_every_form_of_input_gives_a_sample(write: Callable[[Path], Path], tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    sample = take(write(tmp_path))
    oracle = Oracle(compile_definition(DEFINITION))
    events = [oracle.event(payload) for payload in sample.payloads]
    known = {record["event_id"]: record for record in clicks()}
    originals = [event for event in events if event and event.row["amount"] == known[event.row["__id"]]["amount"]]
    assert sample.found >= 400
    assert 50 <= sample.events <= len(originals) + 5
    tiles = Counter((event.key, event.tile) for event in originals)
    assert tiles.most_common()[0][1] > 3, "events of one key and tile, so that states are merged"
    assert len({event.key for event in originals}) > 1


def test_the_seed_decides(tmp_path: Path) -> None:
    file = as_lines(tmp_path)
    assert take(file) == take(file)
    assert take(file) != take(file, seed=2)


def test_filtered_dead_and_altered_records_are_among_them(tmp_path: Path) -> None:
    lines = Path(write_lines(tmp_path / "flights.jsonl", [{**f, "distance": 0.0} for f in flights(40)] + flights()))
    with lines.open("ab") as file:
        file.write(b"garbage\n" * 20)
    definition = load(FLIGHTS)
    sample = read_sample(definition, [str(lines)], 100, Random(1))
    oracle = Oracle(compile_definition(definition))
    events = [oracle.event(payload) for payload in sample.payloads]
    assert sample.payloads.count(b"garbage") == 5
    assert events.count(None) > 5, "filtered ones"
    ids = Counter(event.row["__id"] for event in events if event is not None)
    assert ids.most_common()[0][1] >= 2, "the same id with other content"


def test_glob_and_several_files(tmp_path: Path) -> None:
    for number in range(3):
        write_lines(tmp_path / f"part{number}.jsonl", clicks()[number * 100 : number * 100 + 100])
    assert take(tmp_path / "part*.jsonl").found == 300
    assert take(tmp_path / "part0.jsonl", tmp_path / "part2.jsonl").found == 200


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        pytest.param("x\ny\n", "none of 2 records can be decoded as json", id="undecodable"),
        pytest.param("\n", "holds no record", id="no record"),
    ],
)
def test_samples_without_events_are_refused(lines: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text(lines, encoding="utf-8")
    with pytest.raises(SourceFileError, match=wanted):
        take(tmp_path / "odd.jsonl")


def test_a_sample_that_is_filtered_whole_is_refused(tmp_path: Path) -> None:
    gone = [{**flight, "cancelled": True, "distance": 0.0} for flight in flights(10)]
    with pytest.raises(SourceFileError, match="counts none of 10 records"):
        read_sample(load(FLIGHTS), [write_lines(tmp_path / "gone.jsonl", gone)], 10, Random(1))
