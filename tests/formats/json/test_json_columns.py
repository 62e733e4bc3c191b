"""JSON read as columns: what becomes of a message is what becomes of it alone, byte for byte of what it is."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.avro.types import source_fields
from tandem.formats.json import messages as json_messages
from tandem.formats.json.messages import parse_json
from tandem.formats.json.template import template_of
from tandem.formats.text.buffers import lines_in, texts_of
from tandem.formats.text.eight_bytes import PAD, Eights, Longs, Words, length_to, numbers

NULL_LONG = ["null", "long"]
FIELDS = {
    "id": "string", "at": "long", "small": "int", "price": "double", "weight": "float", "good": "boolean",
    "maybe": NULL_LONG, "perhaps": ["null", "string"],
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """A source of the fields."""

    avro_schema: dict[str, Any]
    event_id: tuple[str, ...] = ("id",)
    event_time: str = "at"
    format: Literal["avro", "json"] = "json"
    max_ahead: int | None = None
    revisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    spellings: dict[str, dict[str, Any]] = field(default_factory=dict)
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)


AVRO = {"type": "record", "name": "E", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]}
SPEC: Any = Spec(AVRO)
SOURCE = source_fields(SPEC)
NAMES = tuple(FIELDS)
ALIKE = (
    b'{"id":"a1","at":1700000000000000,"small":-5,"price":8.72,"weight":0.5,"good":true,"maybe":7,"perhaps":"x"}',
    b'{ "id" : "" , "at" : 0 , "small":2147483647,"price":-0.0,"weight":3,"good":false,"maybe":null,"perhaps":null}',
    '{"at":1,"id":"größe","more":[],"small":1,"price":1e3,"weight":1,"good":true,"perhaps":"ß"}'.encode(),
    b'{"id":"b","at":-12,"small":0,"price":123456789.012345,"weight":1.25,"good":true,"extra":"?","extra2":-1.5}\t',
)


def rows_of(payloads: list[bytes]) -> list[Any]:
    """For each message its values in bits, or why it is none; as read together."""
    return read(payloads, parse_json(SOURCE, NAMES, texts_of(payloads)))


def read(payloads: list[bytes], parsed: Any) -> list[Any]:
    outcome: list[Any] = [None] * len(payloads)
    for row, why in parsed.faults.items():
        outcome[row] = why
    columns = [parsed.arrays[name].to_pylist() for name in NAMES]
    for at, row in enumerate(parsed.rows.tolist()):
        assert outcome[row] is None
        outcome[row] = parsed.verdicts.reasons.get(at) or tuple(bits(column[at]) for column in columns)
    assert None not in outcome
    return outcome


def bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else value


def alone(payload: bytes) -> Any:
    """What the message is by itself, with an object for it."""
    return rows_of([payload])[0]


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A message with some bytes taken out, put in, or changed."""
    message = bytearray(draw(st.sampled_from(ALIKE)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(message) - 1))
        byte = draw(st.sampled_from(b'",:{}[]-+.0159eEtfn \\\n\t\x00\x80\xc3\xff') | st.integers(0, 255))
        length = draw(st.integers(0, 2))
        message[at : at + length] = [byte] * draw(st.integers(0, 2))
    return bytes(message)


@settings(max_examples=150, deadline=None)
@given(st.lists(mangled(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_read_together_as_alone(odd: list[bytes], chance: random.Random) -> None:
    odd = [message for message in odd if message]
    messages = odd + [message for message in ALIKE for _ in range(20)]
    chance.shuffle(messages)
    assert rows_of(messages) == [alone(message) for message in messages]


NUMBERS = ["0", "-0", "-0.0", "00", "01", "-01", "1.", ".5", "1.5", "-", "--1", "1-", "+1", "1e5", "1E-2", "1.0", "0.1"]
NUMBERS += ["999999999999999", "9999999999999999", "123456789012345678", "1234567890123456789", "9223372036854775807"]
NUMBERS += ["9223372036854775808", "-9223372036854775808", "2147483647", "2147483648", "-2147483648", "-2147483649"]
NUMBERS += [
    "0.1234567890123",
    "12345678.1234567",
    "12345678.12345678",
    "1.7976931348623157e308",
    "1e999",
    "NaN",
    "Infinity",
]
NUMBERS += [
    "null",
    "true",
    "false",
    "nul",
    "nulll",
    "truee",
    '"5"',
    "5 ",
    " 5",
    "5\t",
    "1_0",
    "0x10",
    "\u0661",
    "[1]",
    "{}",
    "",
]
NUMBERS += [
    "99999999",
    "100000000",
    "99999999.9",
    "0.00000001",
    "4.35",
    "2.675",
    "1.005",
    "0.3",
    "5,5",
    "1..2",
    "1.2.3",
]


@pytest.mark.parametrize("name", ["at", "small", "price", "weight", "good", "maybe"])
def test_every_way_to_write_a_number(name: str) -> None:
    """In each field, among messages that are well."""
    values = {"id": '"a"', "at": "1", "small": "1", "price": "1.5", "weight": "1", "good": "true", "maybe": "2"}

    def message(text: str) -> bytes:
        return ("{" + ",".join(f'"{n}":{text if n == name else value}' for n, value in values.items()) + "}").encode()

    messages = [message(values[name])] * 40 + [message(text) for text in NUMBERS]
    assert rows_of(messages) == [alone(one) for one in messages]


def test_doubles_are_the_nearest() -> None:
    chance = random.Random(5)
    texts = [f"{chance.uniform(-1e6, 1e6):.{places}f}" for places in range(10) for _ in range(300)]
    payloads = [ALIKE[0].replace(b"8.72", text.encode()) for text in texts]
    assert all(template_of(payload) is not None for payload in payloads)
    found = [row[NAMES.index("price")] for row in rows_of(payloads)]
    assert found == [struct.pack("<d", float(text)) for text in texts]


@pytest.mark.parametrize("payload", ALIKE[:2], ids=["dense", "with blanks"])
def test_those_alike_need_no_objects(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [alone(payload)] * 100

    def refuse(*_: Any) -> Any:
        raise AssertionError("an object was made")

    monkeypatch.setattr(json_messages, "json_values", refuse)
    assert rows_of([payload] * 100) == wanted


def test_a_few_odd_ones_cost_no_others_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    alone_of: list[bytes] = []
    real = json_messages.json_values

    def note(key: str, names: Any, payloads: list[bytes]) -> Any:
        alone_of.extend(payloads)
        return real(key, names, payloads)

    monkeypatch.setattr(json_messages, "json_values", note)
    odd = [b"{}", ALIKE[0].replace(b"a1", b"a\\u0031"), ALIKE[0] + b"x", b'{"id":"z"}', ALIKE[0][:-1]]
    kinds = [ALIKE[0], ALIKE[1]] * 200
    outcome = rows_of(kinds[:100] + odd + kinds[100:])
    assert alone_of == odd
    assert sum(isinstance(row[0], bytes) or row[0] in ("a1", "") for row in outcome) >= 400


def test_neighbours_in_memory_make_no_record() -> None:
    """Two halves of a record, one behind the other in the buffer, are two faults."""
    whole = ALIKE[0]
    for cut in range(1, len(whole)):
        messages = [whole] * 40 + [whole[:cut], whole[cut:]]
        outcome = rows_of(messages)
        assert all(stage == "decode" for stage, _ in outcome[-2:])


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b'{"a":1,"a":2}', id="a name twice"),
        pytest.param(b'{"a":[1]}', id="nested"),
        pytest.param(b'{"a":"\\n"}', id="escape"),
        pytest.param(b'{"\\u0061":1}', id="escape in a name"),
        pytest.param(b'{"a":1,}', id="comma at the end"),
        pytest.param(b'{"a":1}}', id="more behind it"),
        pytest.param(b'{"a":1', id="no end"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b'{"a":tru}', id="no literal"),
        pytest.param(b'{"a":' + b" " * 300 + b"1}", id="more blanks than are looked at"),
    ],
)
def test_no_template(record: bytes) -> None:
    assert template_of(record) is None


@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 17, 18])
def test_digits_of_every_length(length: int) -> None:
    chance = np.random.default_rng(length)
    values = chance.integers(10 ** (length - 1), 10**length, 500)
    buffer = np.frombuffer(bytes(PAD) + b"".join(b"%d," % value for value in values) + bytes(PAD), np.uint8)
    at = PAD + np.arange(500) * (length + 1)
    found, good = numbers(Words(buffer), at, np.full(500, length))
    assert good.all()
    assert (found == values).all()
    for where in range(length):
        for byte in b"/:\x00\xb0 .":
            damaged = buffer.copy()
            damaged[at + where] = byte
            assert not numbers(Words(damaged), at, np.full(500, length))[1].any()


def test_first_byte_wherever_it_is() -> None:
    for size in (*range(40), 511, 512, 513, 519, 520, 521, 5_000):
        text = b"\x21" * size + b'"' + b"!" * 9
        buffer = np.frombuffer(bytes(PAD) + text + bytes(PAD), np.uint8)
        for end in (size, size + 1):
            lengths, found = length_to(Words(buffer), np.array([PAD]), ord('"'), np.array([PAD + end]))
            assert bool(found[0]) is (end > size)
            assert not found[0] or lengths[0] == size


def test_long_texts_are_looked_through_by_themselves() -> None:
    looked = []

    class Counted(Words):
        def __getitem__(self, at: Longs) -> Eights:
            looked.append(len(at))
            return super().__getitem__(at)

    texts = [b"a" * 1_000_000 + b'"', b'b"', b"c" * 700 + b'"', b"d" * 700]
    ends = PAD + np.cumsum([len(text) for text in texts])
    at = ends - np.array([len(text) for text in texts])
    buffer = np.frombuffer(bytes(PAD) + b"".join(texts) + b'"' + bytes(PAD), np.uint8)
    lengths, found = length_to(Counted(buffer), at, ord('"'), ends)
    assert found.tolist() == [True, True, True, False]
    assert lengths[:3].tolist() == [1_000_000, 1, 700]
    assert sum(looked) < 300


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        pytest.param([b"a\nb"], [b"a", b"b"], id="no newline at the end"),
        pytest.param([b"a\n", b"\nb\n"], [b"a", b"", b"b"], id="an empty one between"),
        pytest.param([b"a", b"b\nc"], [b"ab", b"c"], id="a line in two parts"),
        pytest.param([b""], [], id="nothing"),
        pytest.param([b"\n"], [b""], id="one empty line"),
    ],
)
def test_lines(parts: list[bytes], lines: list[bytes]) -> None:
    buffer = np.frombuffer(b"".join((bytes(PAD), *parts, bytes(PAD))), np.uint8)
    for most in (1, 2, 1000):
        found = [part.to_list() for part in lines_in(buffer, last=True, most=most)]
        assert [line for part in found for line in part] == lines
        assert all(0 < len(part) <= most + 1 for part in found)


def test_nothing_is_nothing() -> None:
    assert rows_of([]) == []
    assert len(texts_of([])) == 0
