"""Events and states that wait in files come back as they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tandem.schemas.columns import KEY
from tandem.schemas.errors import SpillError
from tandem.schemas.keys import KEY_DICTIONARY
from tandem.transforms.batch import spill_files, spilling
from tandem.transforms.batch.spill_files import Extent
from tandem.transforms.batch.spilling import PartRef, read_spilled, spill
from tandem.transforms.elements import TileKey

Part = tuple[TileKey, pa.RecordBatch]


def part(tile: int, keys: list[str], first: int = 0) -> Part:
    values = pa.array(range(first, first + len(keys)), pa.int64())
    return (tile, 0), pa.record_batch({KEY: pa.array(keys).cast(KEY_DICTIONARY), "value": values})


def rows(batches: Iterable[pa.RecordBatch]) -> list[tuple[str, int]]:
    return [(row[KEY], row["value"]) for batch in batches for row in batch.to_pylist()]


MANY = [f"key {number}" for number in range(spill_files._FEW_KEYS + 1)]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([part(0, ["a", "b"])], id="one"),
        pytest.param([part(0, ["a", "b"]), part(60, ["b"]), part(0, ["c", "a"], 2)], id="two of one tile"),
        pytest.param([part(0, ["a"] * 9_000), part(0, ["b"] * 9_000, 9_000), part(60, ["c"])], id="large ones"),
        pytest.param([part(0, MANY), part(60, ["a"] * 9_000), part(0, ["b"], 100_000)], id="very many keys"),
    ],
)
def test_each_tile_gets_its_rows_in_their_order(tmp_path: Path, parts: list[Part]) -> None:
    wanted: dict[TileKey, list[tuple[str, int]]] = {}
    for key, events in parts:
        wanted.setdefault(key, []).extend(rows([events]))
    assert {key: rows(read_spilled([ref])) for key, ref in spill(parts, str(tmp_path))} == wanted
    assert len(list(tmp_path.iterdir())) == 1


def test_files_with_codes_and_with_texts_are_read_as_one(tmp_path: Path) -> None:
    refs = [ref for some in ([part(0, MANY)], [part(0, ["a"])]) for _, ref in spill(some, str(tmp_path))]
    batches = read_spilled(refs)
    assert len({batch.schema for batch in batches}) == 1
    assert [key for key, _ in rows(batches)] == [*MANY, "a"]


def test_what_is_forgotten_takes_no_disk_though_it_is_open(tmp_path: Path) -> None:
    refs = dict(spill([part(0, ["a"] * 1_000)], str(tmp_path)))
    assert rows(read_spilled(refs.values()))
    (tmp_path / "other").write_text("stays")
    spilling.forget_spilled(str(tmp_path))
    assert {path.suffix: path.stat().st_size for path in tmp_path.iterdir()} == {".arrows": 0, "": 5}
    with pytest.raises(SpillError):
        read_spilled(refs.values())


def test_a_part_too_large_for_one_block_is_written_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_files, "_MOST", 2_000)
    parts = [part(0, ["a"] * 1_000), part(60, ["b"])]
    refs = dict(spill(parts, str(tmp_path)))
    assert [ref.part.plain > 0 for ref in refs.values()] == [False, True]
    assert {key: rows(read_spilled([ref])) for key, ref in refs.items()} == {
        key: rows([events]) for key, events in parts
    }


@pytest.mark.parametrize("keys", [["a", "b"], MANY], ids=["codes", "texts"])
def test_what_is_damaged_is_refused(tmp_path: Path, keys: list[str]) -> None:
    """Each byte of a small file; of a large one some, and another length."""
    refs = dict(spill([part(0, keys), part(60, ["b"])], str(tmp_path)))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    step = max(1, len(whole) // 500)
    damaged = [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(0, len(whole), step)]
    for number, data in enumerate([*damaged, whole[:-1], whole[:9], b""]):
        other = tmp_path / f"{number}.arrows"
        other.write_bytes(data)
        with pytest.raises(SpillError, match=other.name):
            read_spilled([replace(ref, file=str(other)) for ref in refs.values()])


def test_the_reference_survives_its_coder() -> None:
    coder = spilling.PartRefCoder()
    ref = PartRef("a folder/ü.arrows", Extent(0, 40, 7, 90), Extent(40, 3 << 40, (1 << 32) - 1, 9 << 40))
    assert coder.decode(coder.encode(ref)) == ref
