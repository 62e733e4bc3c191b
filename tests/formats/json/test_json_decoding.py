"""JSON messages: strict types, Avro's and Pub/Sub's ways of writing values, and bad input."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.json.messages import MAX_DEPTH
from tandem.formats.messages import decode_messages
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError


def text_of(kit: Any, **changes: Any) -> bytes:
    """A message of EVENT with raw JSON texts in place of values."""
    values = {name: json.dumps(value) for name, value in kit.row().items()} | changes
    return ("{" + ",".join(f'"{name}":{text}' for name, text in values.items() if text is not None) + "}").encode()


def decode(kit: Any, *payloads: bytes, columns: tuple[str, ...] | None = None, **options: Any) -> Any:
    return decode_messages(
        kit.spec(format="json", **options),
        kit.columns if columns is None else columns,
        kit.messages(payloads),
    )


def test_rows_become_columns(kit: Any) -> None:
    decoded = decode(kit, kit.json(kit.row()), kit.json(kit.row(id=8, count=None)), columns=("user", "count"))
    assert decoded.events.to_pydict() == {
        "user": ["ann", "ann"], "count": [3, None], TIME: [kit.now, kit.now], ID: [7, 8],
    }  # fmt: skip
    assert decoded.dead == ()


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        pytest.param("count", '{"int":5}', 5, id="avro-branch"),
        pytest.param("count", "null", None, id="null"),
        pytest.param("count", None, None, id="missing-has-its-default"),
        pytest.param("price", "3", 3.0, id="whole-number-as-double"),
        pytest.param("price", "1e-400", 0.0, id="too-small-a-double"),
        pytest.param("id", "9223372036854775807", 2**63 - 1, id="largest-long"),
        pytest.param("user", '"\\u00e9\\ud83d\\ude00"', "é😀", id="escapes"),
        pytest.param("user", '"\\u0000"', "\0", id="nul"),
        pytest.param("time", "-2208988800000000", -2_208_988_800_000_000, id="year-1900"),
        pytest.param("time", '"2023-11-14T22:13:20Z"', 1_700_000_000_000_000, id="rfc-3339"),
        pytest.param("time", '"2023-11-15T00:13:20.000001+02:00"', 1_700_000_000_000_001, id="rfc-3339-zone"),
        pytest.param("time", '"0001-01-01T00:00:00Z"', -62_135_596_800_000_000, id="year-1"),
    ],
)
def test_ways_to_write_a_value(kit: Any, field: str, text: str | None, expected: Any) -> None:
    decoded = decode(kit, text_of(kit, **{field: text}))
    assert decoded.dead == ()
    assert decoded.events.column(TIME if field == "time" else field).to_pylist() == [expected]


def test_unknown_fields_and_nested_ones_are_passed_over_and_the_last_of_a_name_counts(kit: Any) -> None:
    message = text_of(kit, extra='{"a":[1,2,{"b":null}]}', more='"x"').replace(b'"id":7', b'"id":6,"id":7')
    decoded = decode(kit, message)
    assert decoded.events.column(ID).to_pylist() == [7]


BAD = [
    pytest.param(lambda k: b"", "an empty message", id="empty"),
    pytest.param(lambda k: b"   ", "not JSON", id="blank"),
    pytest.param(lambda k: b"hello", "not JSON", id="not-json"),
    pytest.param(lambda k: b"\x0e\x06ann\x02" + bytes(9), "not JSON", id="avro-instead"),
    pytest.param(lambda k: b"[1, 2]", "not a record", id="an-array"),
    pytest.param(lambda k: b"null", "not a record", id="null"),
    pytest.param(lambda k: k.json(k.row())[:-1], "not JSON", id="truncated"),
    pytest.param(lambda k: k.json(k.row()) + b"x", "trailing", id="trailing-bytes"),
    pytest.param(lambda k: k.json(k.row()) * 2, "trailing", id="two-in-one"),
    pytest.param(lambda k: text_of(k, id=None), "missing required field `id`", id="missing-id"),
    pytest.param(lambda k: text_of(k, id="null"), "got `null` - at `$.id`", id="null-id"),
    pytest.param(lambda k: text_of(k, time="null"), "got `null` - at `$.time`", id="null-time"),
    pytest.param(lambda k: text_of(k, id='"7"'), "Expected `int`", id="text-for-number"),
    pytest.param(lambda k: text_of(k, id="7.0"), "Expected `int`", id="fraction-for-number"),
    pytest.param(lambda k: text_of(k, id="true"), "Expected `int`", id="boolean-for-number"),
    pytest.param(lambda k: text_of(k, id=str(2**63)), "<= 9223372036854775807", id="2-to-the-63"),
    pytest.param(lambda k: text_of(k, id=str(2**200)), "<= 9223372036854775807", id="2-to-the-200"),
    pytest.param(lambda k: text_of(k, id="9" * 5000), "out of range", id="5000-digits"),
    pytest.param(lambda k: text_of(k, count=str(2**31)), "<= 2147483647", id="int-overflow"),
    pytest.param(lambda k: text_of(k, price="NaN"), "not JSON", id="nan"),
    pytest.param(lambda k: text_of(k, price="-Infinity"), "not JSON", id="infinity"),
    pytest.param(lambda k: text_of(k, price="1e999"), "out of range", id="too-large-a-double"),
    pytest.param(lambda k: text_of(k, page='"moon"'), "Invalid enum value 'moon'", id="enum"),
    pytest.param(lambda k: text_of(k, count='{"long":5}'), "unknown field", id="wrong-branch"),
    pytest.param(lambda k: text_of(k, user='"\\ud800"'), "not JSON", id="lone-surrogate"),
    pytest.param(lambda k: text_of(k).replace(b"ann", b"\xff"), "not UTF-8", id="utf-8"),
    pytest.param(lambda k: text_of(k, extra='"E"').replace(b"E", b"\xff"), "not UTF-8", id="utf-8-passed-over"),
    pytest.param(lambda k: text_of(k, extra="[" * 200 + "]" * 200), "levels deep", id="deep-passed-over"),
    pytest.param(lambda k: b"[" * 1_000_000, "levels deep", id="depth-bomb"),
    pytest.param(lambda k: b'{"a":' * 1_000_000, "levels deep", id="depth-bomb-of-objects"),
    pytest.param(lambda k: b'"' + b"x" * (11 << 20), "11,534,337 bytes", id="11-megabytes"),
    pytest.param(lambda k: text_of(k, time='"2023-11-14T22:13:20"'), "timezone", id="no-zone"),
    pytest.param(lambda k: text_of(k, time='"yesterday"'), "RFC 3339", id="no-time"),
    pytest.param(lambda k: text_of(k, time='"2100-01-01T00:00:00Z"'), "ahead of", id="year-2100"),
    pytest.param(lambda k: text_of(k, time=str(2**63 - 1)), "outside the years", id="time-max"),
    pytest.param(lambda k: text_of(k, time='"0001-01-01T00:00:00+01:00"'), "outside the years", id="year-0"),
]


@pytest.mark.parametrize(("make", "reason"), BAD)
def test_bad_messages_are_dead_and_their_neighbours_live(kit: Any, make: Any, reason: str) -> None:
    bad = make(kit)
    good = [kit.json(kit.row(id=at)) for at in range(4)]
    decoded = decode(kit, *good[:2], bad, *good[2:])
    assert decoded.events.column(ID).to_pylist() == [0, 1, 2, 3]
    assert decoded.rows.tolist() == [0, 1, 3, 4]
    (letter,) = decoded.dead
    assert (letter.payload, letter.row, letter.message_id) == (bad, 2, "m2")
    assert reason in letter.reason
    assert "\n" not in letter.reason


def test_nesting_is_bounded_wherever_the_caller_stands(kit: Any) -> None:
    fits, deeper = (text_of(kit, extra="[" * n + "]" * n, user='"[[[[{{\\"["') for n in (MAX_DEPTH - 1, MAX_DEPTH))

    def at_depth(frames: int) -> list[int]:
        return at_depth(frames - 1) if frames else decode(kit, fits, deeper).rows.tolist()

    assert at_depth(0) == at_depth(500) == [0]


WIDE_TEXTS = {
    "id": '"a"', "flag": "true", "small": "-5", "ratio": "0.5", "raw": '"\\u0000\\u00ff"',
    "day": "19000", "at": "5000", "clock": "6000000", "amount": '"-12.34"', "seen": "1700000000000",
}  # fmt: skip


def decode_wide(kit: Any, **changes: str) -> Any:
    text = "{" + ",".join(f'"{name}":{value}' for name, value in (WIDE_TEXTS | changes).items()) + "}"
    return decode(kit, text.encode(), columns=tuple(WIDE_TEXTS), avro_schema=kit.wide, event_time="seen")


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        pytest.param({}, "amount", Decimal("-12.34"), id="decimal-text"),
        pytest.param({"amount": "-12.34"}, "amount", Decimal("-12.34"), id="decimal-number"),
        pytest.param({"amount": "9999999999.99"}, "amount", Decimal("9999999999.99"), id="largest-decimal"),
        pytest.param({"amount": '{"bytes":"1.5"}'}, "amount", Decimal("1.50"), id="decimal-branch"),
        pytest.param({"amount": "1.2e3"}, "amount", Decimal("1200.00"), id="decimal-exponent"),
        pytest.param({"amount": "0.000"}, "amount", Decimal("0.00"), id="zero"),
        pytest.param({"amount": "null"}, "amount", None, id="no-decimal"),
        pytest.param({"raw": '{"bytes":"\\u00fe"}'}, "raw", b"\xfe", id="bytes-branch"),
        pytest.param({"raw": "null"}, "raw", None, id="no-bytes"),
        pytest.param({"day": '"2022-01-08"'}, "day", 19000, id="date-text"),
        pytest.param({"day": "-1"}, "day", -1, id="date-before-1970"),
        pytest.param({"seen": '"2023-11-14T22:13:20.5Z"'}, TIME, 1_700_000_000_500_000, id="time-text"),
        pytest.param({"seen": "1700000000001"}, TIME, 1_700_000_000_001_000, id="milliseconds"),
        pytest.param({"at": '{"int":1}'}, "at", 1, id="time-of-day-branch"),
    ],
)
def test_logical_types(kit: Any, changes: dict[str, str], field: str, expected: Any) -> None:
    decoded = decode_wide(kit, **changes)
    assert decoded.dead == ()
    column = decoded.events.column(field)
    found = column.cast("int32") if field in ("day", "at") else column
    assert found.to_pylist() == [expected]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"amount": "1.234"}, "doesn't fit 12 digits with 2 decimal places", id="too-many-places"),
        pytest.param({"amount": "10000000000.00"}, "doesn't fit 12 digits", id="too-many-digits"),
        pytest.param({"amount": '"NaN"'}, "'NaN' is not a decimal", id="nan-decimal"),
        pytest.param({"amount": '" 1"'}, "' 1' is not a decimal", id="blank-in-decimal"),
        pytest.param({"amount": "true"}, "'true' is not a decimal", id="boolean-decimal"),
        pytest.param({"amount": "[1]"}, "is not a decimal", id="array-decimal"),
        pytest.param({"amount": '{"x":1}'}, "is not a decimal", id="wrong-branch"),
        pytest.param({"amount": '{"bytes":[1]}'}, "is not a decimal", id="array-in-branch"),
        pytest.param({"amount": "1e9999999"}, "is not a decimal", id="exponent-bomb"),
        pytest.param({"raw": '"\\u0100"'}, "above U+00FF", id="no-byte"),
        pytest.param({"day": '"2022-02-30"'}, "'day'", id="no-day"),
        pytest.param({"day": '"20220108"'}, "outside the years", id="date-form"),
        pytest.param({"at": "86400000"}, "not a time of day", id="no-time-of-day"),
        pytest.param({"ratio": "1e39"}, "<= 3.4", id="no-float"),
        pytest.param({"seen": str(2**62)}, "not a time that", id="milliseconds-beyond"),
    ],
)
def test_values_that_are_none(kit: Any, changes: dict[str, str], reason: str) -> None:
    decoded = decode_wide(kit, **changes)
    assert decoded.events.num_rows == 0
    assert reason in decoded.dead[0].reason


def test_times_as_numbers_and_as_text_in_one_batch(kit: Any) -> None:
    spec = {"avro_schema": kit.wide, "event_time": "seen"}
    row = "{" + ",".join(f'"{name}":{value}' for name, value in WIDE_TEXTS.items()) + "}"
    other = row.replace("1700000000000", '"2023-11-14T22:13:21Z"')
    decoded = decode(kit, row.encode(), other.encode(), columns=(), **spec)
    assert decoded.events.column(TIME).to_pylist() == [kit.now, kit.now + 1_000_000]


def test_a_default_that_is_no_value_is_refused(kit: Any) -> None:
    fields = [*kit.event["fields"], {"name": "size", "type": "int", "default": 2**40}]
    with pytest.raises(SchemaError, match=r"default of 'size'|size"):
        decode(kit, b"{}", avro_schema={**kit.event, "fields": fields})


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.data())
def test_mutated_messages_never_raise_and_fare_alike_alone_and_in_company(kit: Any, data: st.DataObject) -> None:
    good = kit.json(kit.row())
    payloads = [good]
    junk = st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b"{", b"}", b"[", b"\\", b"1e5", b"null", b"\xff"]))
    for _ in range(data.draw(st.integers(1, 6))):
        at, cut = data.draw(st.integers(0, len(good))), data.draw(st.integers(0, 4))
        payloads.append(good[:at] + data.draw(junk) + good[at + cut :])
    together = decode(kit, *payloads)
    assert together.received == len(payloads)
    assert 0 in together.rows
    for at, payload in enumerate(payloads):
        assert len(decode(kit, payload).rows) == (at in together.rows)
    for letter in together.dead:
        assert letter.payload == payloads[letter.row]
