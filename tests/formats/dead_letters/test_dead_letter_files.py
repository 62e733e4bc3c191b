"""Dead-letter files keep every byte, and are refused whole when they are damaged."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.dead_letters.files import DEAD_LETTER_SCHEMA, StoredLetter, decode, encode
from tandem.formats.messages import decode_messages
from tandem.schemas.errors import SourceFileError
from tandem.schemas.messages import DeadLetter

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)
LETTERS = st.lists(
    st.builds(
        DeadLetter,
        st.binary(max_size=200), TEXT, st.sampled_from(["decode", "validate", "expression"]),
        st.integers(0, 2**40), TEXT, INT64, st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    max_size=6,
)  # fmt: skip

ONE = DeadLetter(b"\x00\xffoops", "not JSON", "decode", 3, "m1", 5, {"b": "2", "a": "1"})


@settings(derandomize=True, max_examples=60, deadline=None)
@given(LETTERS, TEXT, INT64)
def test_letters_come_back_as_they_were(letters: list[DeadLetter], position: str, written_at: int) -> None:
    data = encode(letters, position, written_at=written_at, version="v1", attempts=2)
    assert decode(data) == [StoredLetter(letter, position, written_at, "v1", 2) for letter in letters]


def test_equal_letters_have_equal_bytes() -> None:
    other = DeadLetter(b"\x00\xffoops", "not JSON", "decode", 3, "m1", 5, {"a": "1", "b": "2"})
    assert encode([ONE], "p", written_at=9, version="v") == encode([other], "p", written_at=9, version="v")
    assert encode([ONE], "p", written_at=9, version="v") != encode([ONE], "q", written_at=9, version="v")


def test_other_libraries_read_the_files() -> None:
    found: list[Any] = list(fastavro.reader(io.BytesIO(encode([ONE], "lane 1", written_at=9, version="v"))))
    (record,) = found
    assert (record["payload"], record["position"], record["row"]) == (b"\x00\xffoops", "lane 1", 3)


def test_what_decoding_refused_is_kept(kit: Any) -> None:
    payloads = [b"", b"\xff" * 30, kit.avro(kit.row())[:-1]]
    dead = decode_messages(kit.spec(), (), kit.messages(payloads)).dead
    stored = decode(encode(dead, "segment 5", written_at=kit.now, version="v"))
    assert [item.letter for item in stored] == list(dead)
    assert [item.letter.payload for item in stored] == payloads


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        pytest.param(lambda data: data[:-1], "cut short", id="truncated"),
        pytest.param(lambda data: data[: len(data) // 2], "can't be read", id="in-the-header"),
        pytest.param(lambda data: b"x" + data, "not an Avro container", id="foreign"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 1]), "no sync marker", id="sync"),
        pytest.param(lambda data: data[:-30] + b"\xff" * 5 + data[-25:], "other bytes", id="flipped"),
        pytest.param(lambda data: data[: data.index(data[-16:]) + 16], "other letters", id="without-its-block"),
    ],
)
def test_damaged_files_are_refused(damage: Any, problem: str) -> None:
    data = damage(encode([ONE], "p", written_at=9, version="v"))
    with pytest.raises(SourceFileError, match=problem) as error:
        decode(data, "dead/1.avro")
    assert str(error.value).startswith("dead/1.avro: ")


def test_files_of_before_are_read() -> None:
    """They are packed with bzip2, and say nothing of their letters."""
    (record,) = fastavro.reader(io.BytesIO(encode([ONE], "lane 1", written_at=9, version="v")))
    before = io.BytesIO()
    fastavro.writer(before, DEAD_LETTER_SCHEMA, [record], codec="bzip2")
    assert decode(before.getvalue()) == [StoredLetter(ONE, "lane 1", 9, "v", 1)]


@pytest.mark.parametrize(
    ("count", "size"), [(0, 0), (1, 0), (4_096, 1), (4_097, 1), (3, 5 << 20)], ids=lambda number: f"{number:,}"
)
def test_blocks_are_of_any_number(count: int, size: int) -> None:
    letters = [DeadLetter(bytes(size), "no", "decode", row) for row in range(count)]
    data = encode(letters, "p", written_at=9, version="v")
    assert [stored.letter for stored in decode(data)] == letters
    assert len(list(fastavro.reader(io.BytesIO(data)))) == count


def test_other_containers_are_refused(kit: Any, tmp_path: Any) -> None:
    path = kit.avro_file(tmp_path / "e.avro", [kit.row()])
    with pytest.raises(SourceFileError, match="but not of dead letters"):
        decode(path.read_bytes())
