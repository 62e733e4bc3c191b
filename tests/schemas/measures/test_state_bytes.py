"""Bytes of states and rows: stable for ever, and refused when they are damaged."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas import columns
from tandem.schemas.measures import Measure, build, decode_rows, encode_rows, identity
from tandem.schemas.measures.encoding.states import decode_states, encode_states

EVENTS = pa.RecordBatch.from_pydict(
    {
        "x": pa.array([1.5, -0.25, None]),
        "n": pa.array([7, -(2**40), 7]),
        "s": pa.array(["é", "", "b"]),
        "d": pa.array([Decimal("1.25"), None, Decimal("-9.00")], pa.decimal128(9, 2)),
        columns.TIME: pa.array([3, 1, 2]),
        columns.ID: pa.array(["i", "j", "k"]),
    }
)


def state(spec: object) -> tuple[Measure, pa.Array]:
    measure = build("m", spec, EVENTS.schema)
    return measure, measure.update(EVENTS, np.zeros(3, np.int64), 2)


GOLDEN = [
    pytest.param("count", "010300000000000000", "010000000000000000", id="count"),
    pytest.param(
        {"sum": "x"},
        "0102000000000000000000000000000000000000000000000000000000000000000121000100000000000500",
        "01000000000000000000000000000000000000000000000000000000000000000000000000000000",
        id="sum",
    ),
    pytest.param(
        {"sum": "n"},
        "010300000000000000ff000002000000f2ffffffff000000",
        "01000000000000000000000000000000",
        id="sum of ints",
    ),
    pytest.param(
        {"mean": "d"},
        "010200000000000000ff00000100000007030000",
        "01000000000000000000000000000000",
        id="mean of decimals",
    ),
    pytest.param({"min": "x"}, "01000000000000d0bf01", "01000000000000000000", id="min"),
    pytest.param({"max": "s"}, "010200000001c3a9", "010000000000", id="max of strings"),
    pytest.param(
        {"variance": "x"},
        "010200000000000000000000000000000001210001000000014300010000000000050025000000",
        "01000000000000000000000000000000000000000000000000000000000000",
        id="variance",
    ),
    pytest.param({"distinct": "n"}, "01020000000000000000ffffff0700000000000000", "0100000000", id="distinct"),
    pytest.param(
        {"approx_distinct": "s"},
        "0103000000dc18c6061cd59363da2d23d836a4da7dc3c1715c1999eab1",
        "0100000000",
        id="approx_distinct",
    ),
    pytest.param(
        {"quantiles": "x"},
        "010200000002000000450000ff1500000101000000000000000100000000000000",
        "010000000000000000",
        id="quantiles",
    ),
    pytest.param(
        {"top_k": "n"},
        "0102000000020000000000000000ffffff070000000000000001000000000000000200000000000000",
        "010000000000000000",
        id="top_k",
    ),
    pytest.param(
        {"top_k": "s", "by": {"sum": "n"}},
        "010300000003000000030000003c00000000000000010000000200000062c3a91400000014000000140000000101000000"
        "00000000ff0100010000000001000001010000000000000001000001000000070000000101000000000000000100000100"
        "000007000000",
        "0100000000000000000000000000000000",
        id="top_k by sum",
    ),
    pytest.param(
        {"top_k": "n", "capacity": 1, "k": 1},
        "010100000001000000010000000000000007000000000000000100000000000000",
        "0100000000000000000000000000000000",
        id="bounded top_k",
    ),
    pytest.param(
        {"first": "x"},
        "0101000000000000000100000001000000000000d0bf016a",
        "0100000000000000000000000000000000000000000000",
        id="first",
    ),
    pytest.param(
        {"last": "s"},
        "0103000000000000000100000001020000000169c3a9",
        "01000000000000000000000000000000000000",
        id="last",
    ),
]


@pytest.mark.parametrize(("spec", "first", "neutral"), GOLDEN)
def test_bytes_stay_as_they_are(spec: object, first: str, neutral: str) -> None:
    """Stored states outlive programs: other bytes need a new version and a way to read the old."""
    measure, states = state(spec)
    assert [value.hex() for value in measure.encode(states).to_pylist()] == [first, neutral]


SPECS = [
    pytest.param("count", id="count"),
    pytest.param({"sum": "x"}, id="sum"),
    pytest.param({"min": "s"}, id="min"),
    pytest.param({"min": "d"}, id="min of decimals"),
    pytest.param({"variance": "n"}, id="variance"),
    pytest.param({"distinct": "s"}, id="distinct"),
    pytest.param({"quantiles": "x"}, id="quantiles"),
    pytest.param({"top_k": "s", "by": {"sum": "x"}}, id="top_k by sum"),
    pytest.param({"top_k": "s", "capacity": 10}, id="bounded top_k"),
    pytest.param({"last": "s"}, id="last"),
]


@pytest.mark.parametrize("spec", SPECS)
def test_damaged_states_are_refused(spec: object) -> None:
    measure, states = state(spec)
    good = measure.encode(states)[0].as_py()
    for bad in (b"", good[:-1], good + b"\0", bytes([2]) + good[1:], good[:1]):
        with pytest.raises(ValueError, match=r"state|list|sum"):
            measure.decode(pa.array([good, bad], pa.binary()))
    with pytest.raises(ValueError, match="null"):
        measure.decode(pa.array([good, None], pa.binary()))


@pytest.mark.parametrize("spec", SPECS)
def test_random_damage_is_refused_or_read_but_never_crashes(spec: object) -> None:
    measure, states = state(spec)
    good = measure.encode(states)[0].as_py()

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(st.integers(0, len(good) - 1), st.integers(0, 255), st.integers(0, 3))
    def survives(at: int, byte: int, cut: int) -> None:
        damaged = good[:at] + bytes([byte]) + good[at + 1 : len(good) - cut]
        try:
            read = measure.decode(pa.array([good, damaged], pa.binary()))
        except ValueError:
            return
        assert measure.encode(read).to_pylist() == [good, damaged]

    survives()


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        pytest.param(pa.struct([("a", pa.string())]), b"\1\1\0\0\0\1\xff", "UTF8", id="broken UTF-8"),
        pytest.param(pa.struct([("a", pa.int8())]), b"\1\5\2", "neither null", id="neither null nor there"),
        pytest.param(pa.struct([("a", pa.int8())]), b"\1\5\0", "null and has a value", id="a null with a value"),
        pytest.param(pa.list_(pa.bool_()), b"\1\1\0\0\0\2", "neither 0 nor 1", id="boolean of 2"),
        pytest.param(pa.list_(pa.string()), b"\1\1\0\0\0\1\0\0\0\2\0\0\0ab", "as long together", id="lengths differ"),
        pytest.param(pa.list_(pa.int64()), b"\1\xff\xff\xff\xff", "claims", id="four thousand million items"),
        pytest.param(
            pa.list_(pa.binary()), b"\1\0\0\0\0\xff\xff\xff\xff", "as long together", id="bytes without items"
        ),
    ],
)
def test_broken_layouts(kind: pa.DataType, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_states(pa.array([data], pa.binary()), kind, 1)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param(pa.struct([("a", pa.bool_())]), [{"a": True}, {"a": None}, {"a": False}], id="booleans"),
        pytest.param(pa.struct([("a", pa.date32())]), [{"a": datetime.date(2026, 1, 1)}, {"a": None}], id="dates"),
        pytest.param(pa.struct([("a", pa.decimal256(60, 2))]), [{"a": Decimal("-1.25")}, {"a": None}], id="decimals"),
        pytest.param(
            pa.list_(pa.decimal128(20, 2)),
            [[Decimal("1.25")], [], [Decimal("-1.00")] * 2],
            id="decimal lists",
        ),
        pytest.param(pa.list_(pa.bool_()), [[True, False], [], [True]], id="boolean lists"),
        pytest.param(pa.list_(pa.string()), [["", "é"], [], [""]], id="string lists"),
        pytest.param(
            pa.struct([("a", pa.string()), ("b", pa.list_(pa.int16())), ("c", pa.list_(pa.binary()))]),
            [{"a": None, "b": [1, -1], "c": []}, {"a": "x", "b": [], "c": [b"", b"yy"]}],
            id="several variable fields",
        ),
    ],
)
def test_every_layout_round_trips(kind: pa.DataType, values: list[Any]) -> None:
    states = pa.array(values, kind)
    assert decode_states(encode_states(states, 1), kind, 1).to_pylist() == values
    padded = pa.concat_arrays([states, states, states]).slice(1, len(values))
    expected = (values * 3)[1 : 1 + len(values)]
    assert decode_states(encode_states(padded, 1).slice(0), kind, 1).to_pylist() == expected
    assert decode_states(encode_states(states, 1).slice(1), kind, 1).to_pylist() == values[1:]


def test_what_stands_behind_a_null_does_not_show() -> None:
    values = pa.array([1, 2], pa.int64())
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\2"), values.buffers()[1]])
    kind = pa.struct([("a", pa.int64())])
    states = pa.StructArray.from_arrays([hidden], fields=list(kind))
    assert encode_states(states, 1)[0] == encode_states(pa.array([{"a": None}], kind), 1)[0]


def test_null_states_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 states are null"):
        encode_states(pa.array([1, None]), 1)


MEASURES = [build("m", spec, EVENTS.schema) for spec in ("count", {"sum": "x"}, {"distinct": "s"})]


def row() -> bytes:
    states = [measure.update(EVENTS, np.zeros(3, np.int64), 1) for measure in MEASURES]
    value: bytes = encode_rows(MEASURES, states)[0].as_py()
    return value


def test_a_row_is_the_bytes_of_its_measures_one_after_the_other() -> None:
    """Whether a measure's states have one width or not, and whether its bytes are its own."""
    specs = ["count", {"sum": "x"}, {"min": "x"}, {"sum": "n"}, {"max": "s"}, {"distinct": "n"}, {"top_k": "s"}]
    measures, states = zip(*map(state, specs), strict=True)
    encoded = [measure.encode(column).to_pylist() for measure, column in zip(measures, states, strict=True)]
    wanted = [
        b"\x01" + b"".join(len(part).to_bytes(4, "little") + part for part in row) for row in zip(*encoded, strict=True)
    ]
    for count in range(1, len(measures) + 1):
        found = encode_rows(measures[:count], states[:count]).to_pylist()
        assert [row[: len(mine)] for row, mine in zip(wanted, found, strict=True)] == found
    assert encode_rows(measures, states).to_pylist() == wanted


def test_rows_round_trip() -> None:
    groups = np.array([0, 2, 2])
    states = [measure.update(EVENTS, groups, 4) for measure in MEASURES]
    rows = encode_rows(MEASURES, states)
    assert rows.type == pa.binary()
    assert [left.equals(right) for left, right in zip(decode_rows(MEASURES, rows), states, strict=True)] == [True] * 3
    sliced = decode_rows(MEASURES, rows.slice(1, 2))
    assert all(left.equals(right.slice(1, 2)) for left, right in zip(sliced, states, strict=True))
    assert [len(column) for column in decode_rows(MEASURES, rows.slice(0, 0))] == [0, 0, 0]
    some = decode_rows(MEASURES, rows, (0, 2))
    assert [left.equals(right) for left, right in zip(some, (states[0], states[2]), strict=True)] == [True] * 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"\2" + row()[1:], "version 2; this program reads version 1", id="version"),
        pytest.param(row()[:-1], "cut off within measure distinct", id="cut off"),
        pytest.param(row()[:3], "ends before measure count", id="cut off in a length"),
        pytest.param(row() + b"\0", "more than 3 measures", id="too long"),
        pytest.param(b"\1\xff\xff\xff\xff" + row()[5:], "cut off within measure count", id="length too great"),
        pytest.param(None, "null", id="null"),
    ],
)
def test_damaged_rows_are_refused(data: bytes | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_rows(MEASURES, pa.array([row(), data], pa.binary()))


def test_rows_of_other_measures_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 2 measures"):
        decode_rows(MEASURES[:2], pa.array([row()]))
    with pytest.raises(ValueError, match="ends before measure count"):
        decode_rows([*MEASURES, MEASURES[0]], pa.array([row()]))
    with pytest.raises(ValueError, match="bytes of states come as binary"):
        decode_rows(MEASURES, pa.array([1]))


def test_encode_rows_wants_one_column_a_measure() -> None:
    one = identity(MEASURES[0], 1)
    with pytest.raises(ValueError, match="3 measures need as many columns"):
        encode_rows(MEASURES, [one])
    with pytest.raises(ValueError, match=r"differ in length: \[1, 2\]"):
        encode_rows([MEASURES[0]] * 2, [one, identity(MEASURES[0], 2)])
