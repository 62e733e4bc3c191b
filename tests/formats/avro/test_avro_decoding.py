"""Avro messages: what is decoded, what is dead, and that nothing else happens."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.messages import MAX_MESSAGE, decode_messages
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError

LONG_MAX = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"


def test_rows_become_columns_with_time_and_id(kit: Any) -> None:
    rows = [kit.row(id=at, count=None if at % 2 else at, page=["home", "pay"][at % 2]) for at in range(5)]
    decoded = decode_messages(kit.spec(), ("page", "count"), kit.messages([kit.avro(row) for row in rows]))
    assert decoded.events.to_pydict() == {
        "page": ["home", "pay", "home", "pay", "home"],
        "count": [0, None, 2, None, 4],
        TIME: [kit.now] * 5,
        ID: [0, 1, 2, 3, 4],
    }
    assert decoded.rows.tolist() == [0, 1, 2, 3, 4]
    assert decoded.dead == ()


def test_every_type_is_decoded_as_the_schema_says(kit: Any) -> None:
    spec = kit.spec(kit.wide, event_time="seen")
    columns = ("flag", "small", "ratio", "raw", "day", "at", "clock", "amount", "seen")
    rows = [
        kit.wide_row(),
        kit.wide_row(id="b", ratio=None, raw=None, place=None, at=None, amount=None, tags=[]),
    ]
    decoded = decode_messages(spec, columns, kit.messages([kit.avro(row, kit.wide) for row in rows]))
    assert decoded.dead == ()
    assert decoded.events.schema.types[:-2] == [
        pa.bool_(), pa.int32(), pa.float32(), pa.binary(), pa.date32(), pa.time32("ms"), pa.time64("us"),
        pa.decimal128(12, 2), pa.timestamp("us", "UTC"),
    ]  # fmt: skip
    first, second = decoded.events.to_pylist()
    assert (first["small"], first["ratio"], first["raw"]) == (-5, 0.5, b"\x00\xff")
    assert first["amount"] == Decimal("-12.34")
    assert str(first["day"]) == "2022-01-08"
    assert str(first["at"]) == "00:00:05"
    assert first[TIME] == kit.now
    assert [second[name] for name in ("ratio", "raw", "at", "amount")] == [None] * 4
    decoded.events.validate(full=True)


FIXED = {
    "type": "record",
    "name": "F",
    "fields": [
        {"name": "id", "type": {"type": "fixed", "name": "Key", "size": 3}},
        {"name": "other", "type": ["null", "Key"], "default": None},
        {
            "name": "money",
            "type": {"type": "fixed", "name": "M", "size": 5, "logicalType": "decimal", "precision": 9},
        },
        {"name": "time", "type": "long"},
    ],
}


def test_fixed_types_are_read(kit: Any) -> None:
    row = {"id": b"abc", "other": b"\xff\x00\x01", "money": Decimal(-77), "time": kit.now}
    good = kit.avro(row, FIXED)
    decoded = decode_messages(kit.spec(FIXED), ("id", "other", "money"), kit.messages([good, good[:-1], good]))
    assert decoded.events.num_rows == 2
    assert decoded.events.to_pylist()[0] == {
        "id": b"abc", "other": b"\xff\x00\x01", "money": Decimal(-77), TIME: kit.now, ID: '["YWJj"]',
    }  # fmt: skip
    assert [letter.row for letter in decoded.dead] == [1]


@pytest.mark.parametrize(
    ("event_id", "expected"),
    [
        pytest.param(("id",), 7, id="one-integer"),
        pytest.param(("user",), "ann", id="one-text"),
        pytest.param(("user", "id"), '["ann",7]', id="several"),
        pytest.param(("time",), '["2023-11-14T22:13:20Z"]', id="a-time"),
    ],
)
def test_event_ids(kit: Any, event_id: tuple[str, ...], expected: Any) -> None:
    decoded = decode_messages(kit.spec(event_id=event_id), (), kit.messages([kit.avro(kit.row())]))
    assert decoded.events.column(ID).to_pylist() == [expected]


BAD = [
    pytest.param(lambda k: b"", "an empty message", "decode", id="empty"),
    pytest.param(lambda k: b"hello, world", "user", "decode", id="not-avro"),
    pytest.param(lambda k: k.json(k.row()), "not a record", "decode", id="json-instead"),
    pytest.param(lambda k: k.avro(k.row())[:-1], "time: the message ends too early", "decode", id="truncated"),
    pytest.param(lambda k: k.avro(k.row()) + b"\x00", "1 bytes left over", "decode", id="trailing-byte"),
    pytest.param(lambda k: k.avro(k.row()) * 2, "bytes left over", "decode", id="two-in-one"),
    pytest.param(lambda k: b"\x0e\x06ann\x06" + bytes(8) + b"\x00\x02", "page: 3 is not one of", "decode", id="enum"),
    pytest.param(lambda k: b"\x0e\x06ann\x01" + bytes(8) + b"\x00\x02", "page: -1 is not one", "decode", id="enum-neg"),
    pytest.param(lambda k: b"\x0e\x06ann\x02" + bytes(8) + b"\x04\x02", "count: branch 2", "decode", id="union"),
    pytest.param(
        lambda k: b"\x0e\x06ann\x02" + bytes(8) + b"\x02" + LONG_MAX + b"\x02",
        "is not an int",
        "decode",
        id="int",
    ),
    pytest.param(lambda k: b"\x0e\x06an\xff\x02" + bytes(8) + b"\x00\x02", "not UTF-8", "decode", id="utf-8"),
    pytest.param(lambda k: b"\x0e" + LONG_MAX + b"ann", "ends too early", "decode", id="huge-length"),
    pytest.param(lambda k: b"\x0e\x01ann", "a length of -1", "decode", id="negative-length"),
    pytest.param(lambda k: b"\xff" * 12, "more than ten bytes", "decode", id="endless-number"),
    pytest.param(lambda k: b"x" * (11 << 20), "11,534,336 bytes", "decode", id="11-megabytes"),
    pytest.param(lambda k: k.avro(k.row(time=4_102_444_800_000_000)), "ahead of", "validate", id="year-2100"),
    pytest.param(lambda k: k.avro(k.row(time=k.now + 3_600_000_001)), "ahead of", "validate", id="just-ahead"),
    pytest.param(lambda k: k.avro(k.row(time=2**63 - 1)), "outside the years", "validate", id="time-max"),
    pytest.param(lambda k: k.avro(k.row(time=-(2**63))), "outside the years", "validate", id="time-min"),
]


@pytest.mark.parametrize(("make", "reason", "stage"), BAD)
def test_bad_messages_are_dead_and_their_neighbours_live(kit: Any, make: Any, reason: str, stage: str) -> None:
    bad = make(kit)
    good = [kit.avro(kit.row(id=at)) for at in range(40)]
    payloads = [*good[:20], bad, *good[20:]]
    decoded = decode_messages(kit.spec(), kit.columns, kit.messages(payloads))
    assert decoded.events.column(ID).to_pylist() == list(range(40))
    assert decoded.rows.tolist() == [*range(20), *range(21, 41)]
    (letter,) = decoded.dead
    assert letter.payload == bad
    assert reason in letter.reason
    assert "\n" not in letter.reason
    assert (letter.stage, letter.row, letter.message_id) == (stage, 20, "m20")
    assert (letter.publish_time, letter.attributes) == (kit.now, {"n": "20"})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"time": -2_208_988_800_000_000}, id="year-1900"),
        pytest.param({"price": float("nan")}, id="nan"),
        pytest.param({"price": float("-inf")}, id="infinity"),
        pytest.param({"user": ""}, id="empty-text-that-is-no-id"),
        pytest.param({"id": -(2**63)}, id="smallest-id"),
        pytest.param({"user": "x" * (MAX_MESSAGE - 40)}, id="10-megabytes"),
        pytest.param({"time": 1_700_003_600_000_000}, id="exactly-max-ahead"),
    ],
)
def test_strange_but_legal_messages_live(kit: Any, changes: dict[str, Any]) -> None:
    decoded = decode_messages(kit.spec(), kit.columns, kit.messages([kit.avro(kit.row(**changes))]))
    assert decoded.dead == ()
    for name, value in changes.items():
        found = decoded.events.column(TIME if name == "time" else name)[0].as_py()
        assert found == value or (value != value and found != found)


def test_any_distance_is_allowed_without_max_ahead(kit: Any) -> None:
    message = kit.avro(kit.row(time=4_102_444_800_000_000))
    assert decode_messages(kit.spec(max_ahead=None), (), kit.messages([message])).dead == ()


@pytest.mark.parametrize(
    ("event_id", "changes", "reason"),
    [
        pytest.param(("count",), {"count": None}, "event id: 'count' is null", id="null-id"),
        pytest.param(("user", "count"), {"count": None}, "event id: 'count' is null", id="null-in-several"),
        pytest.param(("user",), {"user": ""}, "event id: 'user' is empty", id="empty-id"),
    ],
)
def test_events_without_an_id_are_dead(kit: Any, event_id: Any, changes: Any, reason: str) -> None:
    decoded = decode_messages(kit.spec(event_id=event_id), (), kit.messages([kit.avro(kit.row(**changes))]))
    assert [(letter.reason, letter.stage) for letter in decoded.dead] == [(reason, "validate")]


def test_a_null_time_is_dead(kit: Any) -> None:
    schema = {**kit.event, "fields": [*kit.event["fields"][:-1], {"name": "time", "type": ["null", "long"]}]}
    payloads = [kit.avro(kit.row(time=None), schema), kit.avro(kit.row(), schema)]
    decoded = decode_messages(kit.spec(schema), (), kit.messages(payloads))
    assert [letter.reason for letter in decoded.dead] == ["event time: 'time' is null"]
    assert decoded.rows.tolist() == [1]


@pytest.mark.parametrize(
    "millis",
    [
        pytest.param((2**63 - 1) // 1000 + 1, id="first-beyond"),
        pytest.param(18_446_744_073_709_552, id="wraps-to-1970"),
        pytest.param(-(2**62), id="far-back"),
    ],
)
def test_a_time_in_milliseconds_beyond_int64_is_dead(kit: Any, millis: int) -> None:
    spec = kit.spec(kit.wide, event_time="seen")
    message = kit.avro(kit.wide_row(seen=millis), kit.wide)
    (letter,) = decode_messages(spec, (), kit.messages([message])).dead
    assert f"{millis} is not a time" in letter.reason


def test_an_array_of_nulls_in_a_wide_record_stays_bounded(kit: Any) -> None:
    inner = {
        "type": "record",
        "name": "In",
        "fields": [{"name": f"a{at}", "type": "long"} for at in range(200)],
    }
    schema = {
        "type": "record",
        "name": "Out",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "many", "type": {"type": "array", "items": ["null", inner]}},
            {"name": "time", "type": "long"},
        ],
    }
    small = kit.avro({"id": 1, "many": [None] * 1000, "time": kit.now}, schema)
    bomb = kit.avro({"id": 2, "many": [None] * 400_000, "time": kit.now}, schema)
    decoded = decode_messages(kit.spec(schema), (), kit.messages([small, bomb, small]))
    assert decoded.rows.tolist() == [0, 2]
    assert "unfold to more than" in decoded.dead[0].reason


def test_an_unknown_column_is_refused(kit: Any) -> None:
    with pytest.raises(SchemaError, match="field 'nope' is not usable; usable fields: id, user"):
        decode_messages(kit.spec(), ("nope",), kit.messages([]))


def test_no_messages_make_no_events(kit: Any) -> None:
    decoded = decode_messages(kit.spec(), kit.columns, kit.messages([]))
    assert (decoded.events.num_rows, decoded.received) == (0, 0)
    assert decoded.events.schema.names == [*kit.columns, TIME, ID]


def test_a_flood_of_poison_is_found_message_by_message(kit: Any) -> None:
    good = kit.avro(kit.row())
    payloads = [good if at % 7 == 0 else good[: at % 6] for at in range(5000)]
    decoded = decode_messages(kit.spec(), kit.columns, kit.messages(payloads))
    assert decoded.rows.tolist() == list(range(0, 5000, 7))
    assert all(letter.payload == payloads[letter.row] for letter in decoded.dead)
    assert decoded.received == 5000


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.data())
def test_mutated_messages_never_raise_and_fare_alike_alone_and_in_company(kit: Any, data: st.DataObject) -> None:
    schema, row = data.draw(st.sampled_from([(kit.event, kit.row()), (kit.wide, kit.wide_row())]))
    spec = kit.spec(schema, event_time="time" if schema is kit.event else "seen")
    good = kit.avro(row, schema)
    payloads = [good]
    for _ in range(data.draw(st.integers(1, 6))):
        message = bytearray(good)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(message)))
            message[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        payloads.append(bytes(message))
    together = decode_messages(spec, ("id",), kit.messages(payloads))
    assert together.received == len(payloads)
    assert 0 in together.rows
    for at, payload in enumerate(payloads):
        alone = decode_messages(spec, ("id",), kit.messages([payload]))
        assert alone.received == 1
        assert len(alone.rows) == (at in together.rows)
    for letter in together.dead:
        assert letter.payload == payloads[letter.row]


def test_the_process_survives_thousands_of_mutations(tmp_path: Path, kit: Any) -> None:
    script = tmp_path / "fuzz.py"
    messages = [kit.avro(kit.row()), kit.avro(kit.wide_row(), kit.wide)]
    script.write_text(
        textwrap.dedent(f"""
        import random, resource, sys
        from types import SimpleNamespace
        import pyarrow as pa
        from tandem.formats.messages import decode_messages
        from tandem.schemas.messages import MESSAGE_SCHEMA
        dice = random.Random(5)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        for schema, time, good in {[(kit.event, "time", messages[0]), (kit.wide, "seen", messages[1])]!r}:
            spec = SimpleNamespace(
                spellings={{}},
                avro_schema=schema, format="avro", revisions={{}}, default_revision=None, fields={{}}, event_id=("id",),
                event_time=time, max_ahead=None,
            )
            payloads = []
            for _ in range(1500):
                message = bytearray(good)
                for _ in range(dice.randrange(1, 5)):
                    at = dice.randrange(len(message) + 1)
                    message[at:at + dice.randrange(3)] = dice.randbytes(dice.randrange(4))
                payloads.append(bytes(message))
            for start in range(0, len(payloads), 50):
                part = payloads[start:start + 50]
                batch = pa.RecordBatch.from_pydict(dict(
                    message_id=[""] * len(part), publish_time=[0] * len(part), attributes=[[]] * len(part),
                    data=part,
                ), schema=MESSAGE_SCHEMA)
                decoded = decode_messages(spec, ("id",), batch)
                decoded.events.validate(full=True)
                assert decoded.received == len(part)
        print("survived")
    """)
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "survived"), done.stderr[-2000:]
