"""Avro messages decoded together: what becomes of each is what becomes of it alone."""

from __future__ import annotations

import io
import random
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.avro.messages import AvroDecoder
from tandem.formats.avro.together import together
from tandem.formats.avro.types import read_type
from tandem.formats.avro.wire import END, WireError, WireSchema, is_damage

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "at", "type": "long"},
    {"name": "maybe", "type": ["null", "double"]},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "good", "type": "boolean"},
]
SCHEMA: dict[str, Any] = {"type": "record", "name": "E", "fields": FIELDS}
NULLS: dict[str, Any] = {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "long"]}]}


def decoder(schema: dict[str, Any]) -> AvroDecoder:
    """Of a schema."""
    return AvroDecoder(read_type(schema))


def encoded(record: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> bytes:
    """As a message."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def message(number: int) -> bytes:
    """One that differs from the others."""
    tags = [str(number)] * (number % 3)
    return encoded(
        {"id": "x" * (number % 5), "at": number - 3, "maybe": number / 4 or None, "tags": tags, "good": True}
    )


def outcome(of: AvroDecoder, messages: list[bytes]) -> list[Any]:
    """Each message's values, or why it has none."""
    batches, faults = of.decode_column(pa.array(messages, pa.binary()))
    rows = iter([tuple(row.values())[: len(FIELDS)] for batch in batches for row in batch.to_pylist()])
    return [faults[row] if row in faults else next(rows) for row in range(len(messages))]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_each_as_alone(data: st.DataObject) -> None:
    """Also when bytes are taken out, put in, or pushed from one message to its neighbour."""
    messages = [message(number) for number in range(data.draw(st.integers(1, 8)))]
    for _ in range(data.draw(st.integers(0, 3))):
        row = data.draw(st.integers(0, len(messages) - 1))
        cut = data.draw(st.integers(0, len(messages[row])))
        kept, moved = messages[row][:cut], messages[row][cut:]
        match data.draw(st.sampled_from(("next", "lost", "more", "end"))):
            case "next" if row + 1 < len(messages):
                messages[row], messages[row + 1] = kept, moved + messages[row + 1]
            case "more":
                messages[row] = kept + data.draw(st.binary(max_size=3)) + moved
            case "end":
                messages[row] = kept + bytes(17) + moved
            case _:
                messages[row] = kept
    of = decoder(SCHEMA)
    assert outcome(of, messages) == [outcome(of, [one])[0] for one in messages]


def test_all_good_ones_need_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    of = decoder(SCHEMA)
    messages = [message(number) for number in range(1000)]
    wanted = [outcome(of, [one])[0] for one in messages]

    def refuse(*_: Any) -> Any:
        raise AssertionError("one by one")

    monkeypatch.setattr(of, "decode", refuse)
    assert outcome(of, messages) == wanted


def test_a_slice_of_a_column() -> None:
    messages = [message(number) for number in range(20)]
    column = pa.array(messages, pa.binary())[5:9]
    batches, faults = decoder(SCHEMA).decode_column(column)
    assert not faults
    assert [row["f1"] for batch in batches for row in batch.to_pylist()] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([b"\x00", b"\x00\x00"], id="a byte too many"),
        pytest.param([b"\x02", b"\x00\x00"], id="borders moved"),
        pytest.param([b"\x00" + END, b"\x00"], id="with an END of its own"),
        pytest.param([b"\x00", b""], id="nothing"),
    ],
)
def test_what_ends_elsewhere_shows(messages: list[bytes]) -> None:
    """Records of one byte or more, where a wrong one would soon fit again."""
    wire = WireSchema.of(read_type(NULLS))
    with pytest.raises(BaseException) as caught:  # noqa: PT011  the decoder's panics are no Exceptions
        together(pa.array(messages, pa.binary()), wire.messages)
    assert is_damage(caught.value)


def test_numbers_tell_rows_apart() -> None:
    """Two messages as one record, and one that is made of the rest: the number at the end is another row's."""
    wire = WireSchema.of(read_type(NULLS))
    swallowed = b"\x00" + END + (1).to_bytes(8, "little")
    chance = random.Random(3)
    with pytest.raises((WireError, ValueError)):
        together(pa.array([swallowed, bytes([chance.randrange(1, 9)])], pa.binary()), wire.messages)
