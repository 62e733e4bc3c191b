"""Decoded batches that are kept for point reads."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tandem.views.layers.decoded import DecodedBatches

READ = list[str]()


@pytest.fixture(autouse=True)
def nothing_read() -> None:
    READ.clear()


def batch(bytes_: int) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(range(bytes_ // 8), pa.int64())})


def ask(kept: DecodedBatches, *places: str, bytes_: int = 80) -> None:
    for place in places:
        found = kept.get(place, lambda place=place: READ.append(place) or batch(bytes_))  # type: ignore[misc]
        assert found.nbytes == bytes_


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        pytest.param("aab", "ab", id="once each"),
        pytest.param("abcdefghi" + "i", "abcdefghi", id="one more than there is room for"),
        pytest.param("abcdefghi" + "a", "abcdefghia", id="the oldest goes"),
        pytest.param("abcdefgh" + "a" + "i" + "ab", "abcdefghib", id="what was asked for since stays"),
    ],
)
def test_which_are_read_where_eight_have_room(asked: str, read: str) -> None:
    ask(DecodedBatches(8 * 80), *asked)
    assert "".join(READ) == read


def test_a_batch_that_is_too_large_is_not_kept() -> None:
    kept = DecodedBatches(8 * 80)
    ask(kept, "small", "large", "large", bytes_=88)
    ask(kept, "a", "b")
    ask(kept, "a", "b")
    assert READ == ["small", "large", "large", "a", "b"]


def test_what_can_not_be_read_is_not_kept() -> None:
    kept = DecodedBatches(640)

    def fails() -> pa.RecordBatch:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        kept.get("a", fails)
    ask(kept, "a", "a")
    assert READ == ["a"]
