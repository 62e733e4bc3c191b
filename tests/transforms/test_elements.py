"""Coders of all that travels between transforms: nothing is lost, and equal values are equal bytes."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from apache_beam import coders
from samples import sales
from samples.sales import OVERFLOWS, Sale

from tandem.formats.files.reading import FilePiece, FileRef
from tandem.journal.index import SegmentRef
from tandem.schemas.messages import DeadLetter, Decoded
from tandem.transforms.batch.spill_files import Extent
from tandem.transforms.batch.spilling import PartRef
from tandem.transforms.batch.tile_ranges import Chunk, TileRange
from tandem.transforms.batch.work import FileWork, SegmentWork, Work
from tandem.transforms.elements import (
    CrossBoundaryDuplicate,
    DeadLetterBatch,
    DecodedSegment,
    FoldUpdate,
    SegmentTally,
    SourceBatch,
    Tally,
    TilesUpdate,
)
from tandem.transforms.fold.state import TileState
from tandem.transforms.packing import bytes_of, pack, unpack
from tandem.transforms.routing.tiles import route

COMPILED = sales.compiled()
LETTER = DeadLetter(b"\x00\xff", "no JSON: 'ü'", "decode", 3, "m3", 17, {"ü": "1", "a": ""})


def same(one: Any, other: Any) -> bool:
    """Equal in all fields, arrays and batches too."""
    if isinstance(one, pa.RecordBatch):
        return bool(one.equals(other, check_metadata=True))
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and np.array_equal(one, other))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in names)
    return type(one) is type(other) and bool(one == other)


def batch(watermark: int | None = 5) -> SourceBatch:
    events = pa.record_batch({"__time": pa.array([1, 2], pa.int64()), "__id": ["a", "ü"]})
    decoded = Decoded(events, np.array([0, 2], "<i8"), (LETTER, DeadLetter(b"", "empty", "validate", 4)))
    return SourceBatch("run/0001", 9, 3, "v1", watermark, decoded, 17, sales.messages([b"\x00", b"", b"c"]))


def update() -> FoldUpdate:
    block = pa.record_batch({"__generation": [1], "__key": ["[]"], "__events": [2]})
    ids = pa.record_batch({"__hash": pa.array([2**64 - 1], pa.uint64())})
    cross_duplicates = (CrossBoundaryDuplicate(2**64 - 1, 0, 4, 2),)
    return FoldUpdate(
        -60_000_000, 3, block, (Tally(1, 2, 3, 1), Tally(-1, 0, 0, 0)), cross_duplicates, ids, ids, "on time"
    )


def tiles_update() -> TilesUpdate:
    block = pa.record_batch({"__generation": [1, 2, 1], "__key": ["[]", "[]", "[1]"], "__events": [2, 1, 1]})
    ids = pa.record_batch({"__hash": pa.array([2**64 - 1, 7], pa.uint64())})
    tallies = ((Tally(1, 2, 3, 1, 2**128 - 1), Tally(2, 0, 0, 0)), (), (Tally(-1, 1, 0, 0),))
    return TilesUpdate(((-60_000_000, 3), (0, 3), (0, 4)), tallies, block, (2, 0, 1), ids, (1, 0, 1))


CHUNK = Chunk(PartRef("a folder/ü.arrows", Extent(0, 40, 7, 90), Extent(40, 3 << 40, (1 << 32) - 1, 0)), -60, 0, 17)


VALUES: dict[str, Callable[[], Any]] = {
    "a source batch": batch,
    "one without watermarks and messages": lambda: dataclasses.replace(
        batch(None), reported=None, messages=None, decoded=Decoded(batch().decoded.events, np.array([0, 1], "<i8"), ())
    ),
    "one of a reader that has opened its lane": lambda: dataclasses.replace(batch(), opening=3),
    "a decoded segment of two sources": lambda: DecodedSegment((batch(), batch(None))),
    "a segment that no source decodes": lambda: DecodedSegment(()),
    "a segment's tally": lambda: SegmentTally("run/0001", 9, 3, 10, 4, 1, 2, ((-60, 1), (0, 2)), 7),
    "one without late events": lambda: SegmentTally("file ü.csv", 0, -1, 1, 1, 0, 0, ()),
    "dead letters": lambda: DeadLetterBatch("run/0001", 9, 3, (LETTER, LETTER)),
    "an update of the fold": update,
    "an update of a batch run's tiles": tiles_update,
    "a chunk of events that wait": lambda: CHUNK,
    "a range of tiles that wait": lambda: TileRange(3, -60, 60, (CHUNK, dataclasses.replace(CHUNK, last=30))),
    "work on segments": lambda: Work(SegmentWork((SegmentRef("r", 1, 2, 3, 4, "d"), SegmentRef("r", 1, 3, 3, 4, "e")))),
    "work on a file": lambda: Work(FileWork(FilePiece(FileRef("/a ü", 10, "d", "csv", "gzip"), 0, 10, 0), 2, -1, 17)),
    "a record batch": lambda: pa.record_batch({"a": pa.array([1, None]), "m": [[("k", "v")], []]}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_whole(name: str) -> None:
    value = VALUES[name]()
    coder = coders.registry.get_coder(type(value))
    assert same(coder.decode(coder.encode(value)), value)


@pytest.mark.parametrize("name", VALUES)
def test_equal_values_are_equal_bytes(name: str) -> None:
    one, other = VALUES[name](), VALUES[name]()
    coder = coders.registry.get_coder(type(one))
    assert coder.encode(one) == coder.encode(other) == coder.encode(coder.decode(coder.encode(one)))
    assert coder.is_deterministic()
    again = pickle.loads(pickle.dumps(coder))
    assert again.encode(one) == coder.encode(one)


@pytest.mark.parametrize("name", VALUES)
def test_no_value_falls_back_to_pickle(name: str) -> None:
    value = VALUES[name]()
    coder = coders.registry.get_coder(type(value))
    assert not isinstance(coder, coders.FastPrimitivesCoder | coders.PickleCoder)
    assert b"__reduce" not in coder.encode(value)
    assert not coder.encode(value).startswith(b"\x80"), "the mark of a pickle"


def test_slices_are_encoded_as_their_rows_alone() -> None:
    """Routing hands slices of one batch on; their neighbours must neither travel nor change the bytes."""
    long = pa.record_batch({"a": list(range(1000)), "b": ["x" * 50] * 1000})
    coder = coders.registry.get_coder(pa.RecordBatch)
    own = pa.record_batch({"a": [7, 8], "b": ["x" * 50] * 2})
    assert coder.encode(long.slice(7, 2)) == coder.encode(own)


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        pytest.param(None, [], id="nothing"),
        pytest.param({"b": 1, "a": [None, "ü"]}, [b"", b"\x00" * 9], id="parts of any length"),
    ],
)
def test_what_is_packed_is_unpacked(header: Any, parts: list[bytes]) -> None:
    assert unpack(pack(header, parts)) == (header, parts)


@pytest.mark.parametrize(
    ("rows", "first", "last", "least", "most"),
    [
        pytest.param(100, 0, 100, 800, 1_000, id="small, alone"),
        pytest.param(100_000, 0, 100_000, 800_000, 900_000, id="large, alone"),
        pytest.param(100_000, 7, 10, 24, 100, id="three rows of large buffers"),
    ],
)
def test_a_batch_counts_for_its_own_rows(rows: int, first: int, last: int, least: int, most: int) -> None:
    batch = pa.record_batch({"n": pa.array(range(rows), pa.int64())}).slice(first, last - first)
    assert least <= bytes_of(batch) <= most


def test_a_routed_batch_and_its_update_survive_the_wire(source_batch: Callable[..., SourceBatch]) -> None:
    """With the product's own schemas: nullability and types of all columns are kept."""
    payloads = [Sale("a", 1).payload(), Sale("b", 2, units=OVERFLOWS).payload(), b"{"]
    source = source_batch(COMPILED, payloads)
    coder = coders.registry.get_coder(SourceBatch)
    one, other = route(COMPILED, 1, source), route(COMPILED, 1, coder.decode(coder.encode(source)))
    assert same(one, other)
    (key, events) = one.parts[0]
    made = TileState(COMPILED, key).update([events], "early")
    fold = coders.registry.get_coder(FoldUpdate)
    assert same(fold.decode(fold.encode(made)), made)


def test_each_tile_of_an_update_has_its_own_rows() -> None:
    found = list(tiles_update().by_place())
    assert [(one.tile, one.shard) for one in found] == [(-60_000_000, 3), (0, 3), (0, 4)]
    assert [one.block.column("__key").to_pylist() for one in found] == [["[]", "[]"], [], ["[1]"]]
    assert [one.ids.column("__hash").to_pylist() for one in found] == [[2**64 - 1], [], [7]]
    assert tuple(one.tallies for one in found) == tiles_update().tallies
