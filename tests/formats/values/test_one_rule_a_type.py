"""The same value is judged the same whichever way it comes in: the same event, or the same reason for a dead letter.

Texts come as CSV, as JSON Lines and as JSON messages, alone (an object for each) and among many alike (as columns);
whole numbers also as Avro messages, Avro files and Parquet files.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.ways_in import TYPES, Ways, same, schema_of

DAYS = ["2026-01-05", "2026-1-5", "20260105", "0001-01-01", "9999-12-31", "0000-12-31", "10000-01-01", "2026-02-30"]
CLOCKS = ["00:00", "23:59:59", "24:00", "12:30:60", "1:30", "12:30:00.5", "12:30:00.123456789", "12:30:00.", "12"]
ZONES = ["", "Z", "z", "+00", "-00:00", "+0530", "+05:30", "+24:00", "+05:60", " Z", " UTC", "Europe/Berlin"]
INSTANTS = [
    *(f"2026-01-05{sign}{clock}{zone}" for sign in "Tt " for clock in CLOCKS for zone in ZONES[:5]),
    *(f"{day}T00:00:00{zone}" for day in DAYS for zone in ZONES),
    *DAYS, *CLOCKS,
    "", " ", "0", "-1", "+1", "1e3", "1.5", "0x10", "1767571200000000", "1767571200", "9" * 19, "-" + "9" * 19,
    "now", "2026-W01-1", "2026-005", "Mon Jan  5 2026", "2026-01-05T00:00:00+00:00[UTC]", "2026-01-05 00:00:00,5Z",
    "\u0662\u0660\u0662\u0666-01-05T00:00:00Z", "2026-01-05T00:00:00\u2212" "01:00", "2026-01-05T00:00:00Z\n",
]  # fmt: skip
DECIMALS = ["0", "-0", "1", "1.5", "-1.500", "+1", ".5", "1.", "1e3", "1.5E-1", "1,5", "NaN", "Infinity", "1_0", " 1"]
DECIMALS += ["", "12345678901234567.123", "123456789012345678", "0.0001", "1e999", "1e99999", "\u0661", "0x1"]
BYTES = [
    "ab",  # an empty text is no bytes in JSON, which can say null, and null in CSV, which can't
    "ba",
    "\x00\xff",
    "a",
    "abc",
    "\u0100",
    "é",
]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        *((name, INSTANTS) for name in TYPES if "time" in name or name == "date"),
        *((name, DECIMALS) for name in ("decimal", "wide-decimal")),
        ("fixed", BYTES),
    ],
)
def test_texts_are_the_same_in_csv_and_json(kit: Any, tmp_path: Path, kind: str, texts: list[str]) -> None:
    ways = Ways(kit, tmp_path, TYPES[kind])
    texts = list(dict.fromkeys(texts))
    typed = ways.typed_texts(texts) if "time" in kind or kind == "date" else {}
    outcomes = same(texts, {"CSV": ways.csv(texts), **ways.json_texts(texts), **typed})
    assert {"event", "dead"} <= {outcome for outcome, _ in outcomes}


@pytest.mark.parametrize("kind", ["int", "long", "float", "double"])
def test_numbers_of_json_are_those_of_csv(kit: Any, tmp_path: Path, kind: str) -> None:
    """As far as JSON can write them; where it refuses one its reason is of JSON's types."""
    texts = ["0", "-0", "7", "-7", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "1.5", "-0.0"]
    texts += ["9223372036854775808", "1.0", "1e3", "1E-3", "3.4028234663852886e38", "3.5e38", "1e-400", "1e999"]
    texts += ["4.35", "5e-324", "2.2250738585072014e-308", "123456789012345678", "1e5000"]
    ways = Ways(kit, tmp_path, TYPES[kind])
    found = {"CSV": ways.csv(texts), **ways.json_tokens(texts)}
    for way, outcomes in found.items():
        for text, wanted, outcome in zip(texts, found["CSV"], outcomes, strict=True):
            assert outcome[0] == wanted[0], f"{text} is {wanted} in CSV, and {outcome} in {way}"
            assert outcome[0] == "dead" or outcome[1] == wanted[1], (way, text, outcome, wanted)


@pytest.mark.parametrize(
    ("kind", "parquet", "numbers"),
    [
        ("int", pa.int32(), [0, -1, 2**31 - 1, -(2**31)]),
        ("long", pa.int64(), [0, -1, 2**63 - 1, -(2**63)]),
        ("date", pa.date32(), [0, -719_162, -719_163, 2_932_896, 2_932_897, 3_000_000, 2**31 - 1, -(2**31)]),
        *(
            (kind, pa.int64(), [0, -1, -62_135_596_800 * unit, -62_135_596_800 * unit - 1, 253_402_300_800 * unit - 1,
                                253_402_300_800 * unit, 2**63 - 1, -(2**63)])
            for kind, unit in (("timestamp-micros", 10**6), ("timestamp-millis", 10**3))
        ),
    ],
)  # fmt: skip
def test_whole_numbers_are_the_same_in_every_format(
    kit: Any, tmp_path: Path, kind: str, parquet: pa.DataType, numbers: list[int]
) -> None:
    same([str(number) for number in numbers], Ways(kit, tmp_path, TYPES[kind]).numbers(numbers, parquet))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (
            "double",
            [0.0, -0.0, 1.5, NAN, INF, -INF, 5e-324, 1.7976931348623157e308, 4.35, 1e22],
        ),
        ("float", [0.0, -0.0, 1.5, NAN, INF, -INF, 1.401298464324817e-45, 3.4028234663852886e38]),
    ],
)
def test_floats_are_the_same_in_every_format(kit: Any, tmp_path: Path, kind: str, values: list[float]) -> None:
    """JSON has no text for those that aren't finite; there the others are compared."""
    ways = Ways(kit, tmp_path, TYPES[kind])
    texts = [repr(value) for value in values]
    found = {"CSV": ways.csv(texts), **ways.typed(values, kind, pa.float64() if kind == "double" else pa.float32())}
    rows = [{"id": at, "time": kit.now, "x": value} for at, value in enumerate(values)]
    found["Avro messages"] = ways.messages([kit.avro(row, schema_of(kind)) for row in rows], format="avro")
    for way, outcomes in found.items():
        assert [str(value) for _, value in outcomes] == texts, way
    finite = [text for text in texts if text.strip("-")[0].isdigit()]
    for way, outcomes in ways.json_tokens(finite).items():
        assert [repr(value) for _, value in outcomes] == finite, way


def test_decimals_are_the_same_in_every_format(kit: Any, tmp_path: Path) -> None:
    texts = ["0", "-1.5", "12345678901234567.123", "0.001", "-99999999999999999.999"]
    ways, values = Ways(kit, tmp_path, TYPES["decimal"]), [Decimal(text) for text in texts]
    found = {"CSV": ways.csv(texts), **ways.json_texts(texts), **ways.json_tokens(texts)}
    found |= ways.typed(values, TYPES["decimal"], pa.decimal128(20, 3))
    assert same(texts, found) == [("event", value) for value in values]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    moment=st.datetimes(),
    sign=st.sampled_from("Tt "),
    digits=st.integers(0, 9),
    zone=st.sampled_from(["Z", "z", "+00", "-0330", "+05:45", "-12:00", "+14:00"]),
    fraction=st.integers(0, 999_999_999),
)
def test_instants_are_what_they_say(
    kit: Any, tmp_path_factory: Any, moment: datetime, sign: str, digits: int, zone: str, fraction: int
) -> None:
    text = f"{moment.year:04d}-{moment:%m-%d}{sign}{moment:%H:%M:%S}"
    text += f".{fraction:09d}"[: digits + 1] if digits else ""
    micros = int(f"{fraction:09d}"[:digits].ljust(6, "0")[:6] or 0) if digits else 0
    offset = {"Z": 0, "z": 0, "+00": 0, "-0330": -210, "+05:45": 345, "-12:00": -720, "+14:00": 840}[zone]
    ways = Ways(kit, tmp_path_factory.mktemp("one"), TYPES["timestamp-micros"])
    (outcome,) = same([text + zone], {"CSV": ways.csv([text + zone]), **ways.json_texts([text + zone])})
    try:
        wanted = moment.replace(microsecond=micros, tzinfo=UTC) - timedelta(minutes=offset)
    except OverflowError:
        assert "outside the years 1 to 9999" in outcome[1]
    else:
        assert outcome == ("event", wanted)


def test_decimals_keep_every_digit(kit: Any, tmp_path: Path) -> None:
    ways = Ways(kit, tmp_path, TYPES["wide-decimal"])
    texts = ["9" * 50 + "." + "9" * 10, "-" + "9" * 50, "0.0000000001"]
    tokens = ways.json_tokens(texts)
    outcomes = same(texts, {"CSV": ways.csv(texts), **ways.json_texts(texts), **tokens})
    assert [value for _, value in outcomes] == [Decimal(text) for text in texts]


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\u2028", "\U0001f600", "e\u0301", "\ufeff", "x" * 100_000, "\x7f"])
def test_texts_come_through_byte_for_byte(kit: Any, tmp_path: Path, text: str) -> None:
    ways = Ways(kit, tmp_path, "string")
    assert same([text], {"CSV": ways.csv([text]), **ways.json_texts([text])}) == [("event", text)]


def test_the_avro_library_agrees_on_what_a_row_is(kit: Any, tmp_path: Path) -> None:
    """Guards the helper: what it writes as plain numbers is what the logical type would be written as."""
    schema = schema_of(TYPES["timestamp-millis"])
    path = tmp_path / "x.avro"
    kit.avro_file(path, [{"id": 0, "time": kit.now, "x": datetime(2026, 1, 5, tzinfo=UTC)}], schema)
    with path.open("rb") as file:
        record: Any = next(iter(fastavro.reader(file)))
        assert record["x"] == datetime(2026, 1, 5, tzinfo=UTC)
