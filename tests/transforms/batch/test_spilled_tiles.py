"""Events that wait for their tiles in files: each tile comes whole, once, whatever files and chunks it lay in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that

from tandem.schemas.columns import KEY, TILE
from tandem.schemas.errors import SpillError
from tandem.schemas.keys import KEY_DICTIONARY
from tandem.transforms.batch import spilled_tiles, spilling, tile_ranges
from tandem.transforms.batch.spilled_tiles import SpillTiles, spill_tiles
from tandem.transforms.batch.tile_ranges import Chunk, TileRange, ranges_of, read_range
from tandem.transforms.elements import TileKey

Part = tuple[TileKey, pa.RecordBatch]
Rows = dict[TileKey, list[tuple[str, int]]]
SIZE = 60


def part(tiles: list[int], shard: int = 0, first: int = 0, keys: list[str] | None = None) -> Part:
    """An event in each of these tiles, which ascend, with numbers from `first` on."""
    names = keys or [f"k{(7 * (first + at)) % 11}" for at in range(len(tiles))]
    columns = {
        KEY: pa.array(names).cast(KEY_DICTIONARY),
        "value": pa.array(range(first, first + len(tiles)), pa.int64()),
        TILE: pa.array(tiles, pa.int64()),
    }
    return (tiles[0], shard), pa.record_batch(columns)


def rows_of(parts: Iterable[Part]) -> Rows:
    found: Rows = {}
    for (_, shard), events in parts:
        for row in events.to_pylist():
            found.setdefault((row[TILE], shard), []).append((row[KEY], row["value"]))
    return found


def grouped(chunks: Iterable[tuple[TileKey, Chunk]]) -> dict[TileKey, list[Chunk]]:
    groups: dict[TileKey, list[Chunk]] = {}
    for key, chunk in chunks:
        groups.setdefault(key, []).append(chunk)
    return groups


def ranges(chunks: Iterable[tuple[TileKey, Chunk]]) -> list[TileRange]:
    return [waiting for group in grouped(chunks).items() for _, waiting in ranges_of(group)]


def read(waiting: Iterable[TileRange]) -> Rows:
    """All tiles of the ranges. Fails if a tile comes twice."""
    found: Rows = {}
    for each in waiting:
        together = read_range(each)
        assert len(together.owners) == together.events.num_rows
        for place, events in zip(together.places, together.by_place(), strict=True):
            assert place not in found
            found[place] = [(row[KEY], row["value"]) for row in events.to_pylist()]
    return found


def in_any_order(found: Rows) -> Rows:
    """The rows of each place sorted: files, whose names are random, have no order among themselves."""
    return {place: sorted(rows) for place, rows in found.items()}


@pytest.fixture(params=["as it is", "small chunks and ranges", "a tile a group"])
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as it is":
        for module in (spilled_tiles, tile_ranges):
            monkeypatch.setattr(module, "CHUNK_ROWS", 6)
        monkeypatch.setattr(tile_ranges, "RANGE_ROWS", 20)
    if request.param == "a tile a group":
        monkeypatch.setattr(spilled_tiles, "_GROUP_TILES", 1)


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("seed", range(12))
def test_each_tile_comes_whole_and_once(tmp_path: Path, seed: int) -> None:
    random, parts, spilled = Random(seed), list[Part](), list[tuple[TileKey, Chunk]]()
    for number in range(random.randint(1, 6)):
        held = list[Part]()
        for _ in range(random.randint(1, 3)):
            span = random.choice([1, 5, 2_000])
            tiles = sorted(SIZE * random.randint(-span, span) for _ in range(random.randint(1, 40)))
            held.append(part(tiles, random.choice([0, 64]), 1_000 * number + 100 * len(held)))
        spilled += spill_tiles(held, str(tmp_path), SIZE)
        parts += held
    random.shuffle(spilled)
    assert in_any_order(read(ranges(spilled))) == in_any_order(rows_of(parts))


def test_events_of_one_file_keep_their_order(tmp_path: Path) -> None:
    parts = [part([0, 0, 60, 120]), part([0, 60, 60], first=10)]
    assert read(ranges(spill_tiles(parts, str(tmp_path), SIZE))) == rows_of(parts)


def test_small_tiles_are_written_and_read_together(tmp_path: Path) -> None:
    parts = [part([SIZE * (n // 3) for n in range(3_000)], first=3_000 * number) for number in range(2)]
    spilled = [each for one in parts for each in spill_tiles([one], str(tmp_path), SIZE)]
    assert len(spilled) == 2, "of a thousand tiles each"
    ((_, waiting),) = [each for group in grouped(spilled).items() for each in ranges_of(group)]
    together = read_range(waiting)
    assert together.sizes == (6,) * 1_000
    assert in_any_order(read([waiting])) == in_any_order(rows_of(parts))


def test_a_large_tile_is_a_range_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory holds one at a time, though its neighbours lie in the same files."""
    for module in (spilled_tiles, tile_ranges):
        monkeypatch.setattr(module, "CHUNK_ROWS", 20)
    monkeypatch.setattr(tile_ranges, "RANGE_ROWS", 30)
    tiles = [SIZE * tile for tile in range(4) for _ in range(25)]
    spilled = [each for n in range(3) for each in spill_tiles([part(tiles, first=100 * n)], str(tmp_path), SIZE)]
    found = ranges(spilled)
    assert [read_range(waiting).places for waiting in found] == [((SIZE * tile, 0),) for tile in range(4)]
    assert [len(waiting.chunks) for waiting in found] == [3] * 4, "nothing of other tiles is read"


MANY = [f"key {number}" for number in range(spilled_tiles._MOST_KEYS + 1)]


def test_keys_as_codes_and_as_texts_come_together(tmp_path: Path) -> None:
    parts = [part([0] * len(MANY), keys=MANY), part([0, 60], first=100_000, keys=["b", "a"])]
    spilled = [each for one in parts for each in spill_tiles([one], str(tmp_path), SIZE)]
    assert in_any_order(read(ranges(spilled))) == in_any_order(rows_of(parts))


def test_codes_ascend_with_their_keys(tmp_path: Path) -> None:
    """Then aggregating needn't sort texts."""
    ((_, chunk),) = spill_tiles([part([0] * 4, keys=["é", "b", "a", "b"])], str(tmp_path), SIZE)
    (events,) = spilling.read_spilled([chunk.ref])
    assert events.column(KEY).dictionary.to_pylist() == ["a", "b", "é"]
    assert events.column(KEY).to_pylist() == ["é", "b", "a", "b"]


def test_what_is_forgotten_is_refused(tmp_path: Path) -> None:
    found = ranges(spill_tiles([part([0, 60])], str(tmp_path), SIZE))
    spilling.forget_spilled(str(tmp_path))
    with pytest.raises(SpillError):
        read(found)


def test_through_a_pipeline_that_writes_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilled_tiles, "SPILL_ROWS", 3)
    parts = [part([60 * (n % 4), 60 * (n % 4) + 60], first=2 * n) for n in range(40)]
    wanted = {place: sorted(rows) for place, rows in rows_of(parts).items()}

    def check(found: list[tuple[TileKey, list[TileRange]]]) -> None:
        read_back = read(waiting for _, some in found for waiting in some)
        assert {place: sorted(rows) for place, rows in read_back.items()} == wanted

    with beam.Pipeline("apache_beam.runners.portability.fn_api_runner.FnApiRunner") as pipeline:
        created = pipeline | beam.Create(parts).with_output_types(Part)
        assert_that(created | SpillTiles(str(tmp_path), SIZE), check)
    assert len(list(tmp_path.iterdir())) > 4
