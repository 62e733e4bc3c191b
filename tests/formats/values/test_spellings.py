"""How a source says that its values are written: local times, patterns, numbers since 1970, nulls, booleans, numbers.

Whatever is declared, CSV and JSON (as messages and lines, alone and among many) make the same of a text.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples.ways_in import TYPES, Ways, same

from tandem.formats.messages import decode_messages
from tandem.formats.values.local_times import place
from tandem.formats.writing import encode_messages
from tandem.schemas.source.time_patterns import time_pattern
from tandem.schemas.time.durations import DAY

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def outcomes(kit: Any, folder: Path, kind: str, texts: list[str], **spelling: Any) -> list[Any]:
    """What the texts are in every way in; a value alone where it is an event."""
    ways = Ways(kit, folder, TYPES[kind], **spelling)
    found = same(texts, {"CSV": ways.csv(texts), **ways.json_texts(texts), **ways.typed_texts(texts)})
    return [value if kind == "event" else f"dead {value}" for kind, value in found]


BERLIN = {"zone": "Europe/Berlin"}
LOCAL = [
    ("2026-01-05 12:00:00", "2026-01-05T11:00:00+00:00"),
    ("2026-07-05T12:00", "2026-07-05T10:00:00+00:00"),
    ("2026-07-05", "2026-07-04T22:00:00+00:00"),
    ("2026-07-05 12:00:00Z", "2026-07-05T12:00:00+00:00"),
    ("2026-07-05 12:00:00.1234567-05", "2026-07-05T17:00:00.123456+00:00"),
    ("2026-01-05 12:00:00,25", "2026-01-05T11:00:00.250000+00:00"),
    ("2026-01-05t12:00:00,1234567", "2026-01-05T11:00:00.123456+00:00"),
    ("2026-07-05T12:00:00,5Z", "2026-07-05T12:00:00.500000+00:00"),
    ("1893-03-31 23:59:59.5", "1893-03-31T23:06:31.500000+00:00"),
    ("2026-10-25 03:00:00", "2026-10-25T02:00:00+00:00"),
]


def test_local_times(kit: Any, tmp_path: Path) -> None:
    texts, wanted = zip(*LOCAL, strict=True)
    found = outcomes(kit, tmp_path, "timestamp-micros", list(texts), **BERLIN)
    assert [value.isoformat() for value in found] == list(wanted)


@pytest.mark.parametrize(
    ("text", "policy", "wanted"),
    [
        ("2026-10-25 02:30:00", {}, "is there twice in Europe/Berlin; declare ambiguous: earlier or later"),
        ("2026-10-25 02:30:00", {"ambiguous": "earlier"}, "2026-10-25T00:30:00+00:00"),
        ("2026-10-25 02:30:00.25", {"ambiguous": "later"}, "2026-10-25T01:30:00.250000+00:00"),
        ("2026-03-29 02:30:00", {}, "is skipped by clocks in Europe/Berlin; declare nonexistent: shift_forward"),
        ("2026-03-29 02:30:00.25", {"nonexistent": "shift_forward"}, "2026-03-29T01:00:00+00:00"),
        ("2026-03-29 01:59:59.999999", {}, "2026-03-29T00:59:59.999999+00:00"),
        ("0001-01-01 00:00:00", {}, "outside the years 1 to 9999"),
        ("12:00", {}, "is not an ISO 8601 time"),
    ],
)
def test_an_hour_that_is_there_twice_or_not_at_all(
    kit: Any, tmp_path: Path, text: str, policy: dict[str, str], wanted: str
) -> None:
    (found,) = outcomes(kit, tmp_path, "timestamp-millis", [text], **BERLIN, **policy)
    assert wanted in (found if isinstance(found, str) else found.isoformat())


ZONES = ["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "America/Havana"]
ZONES += ["Australia/Lord_Howe", "Antarctica/Troll", "America/Sao_Paulo", "Africa/Monrovia", "UTC"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    zone=st.sampled_from(ZONES),
    moments=st.lists(st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=20),
    near=st.booleans(),
)
def test_local_times_are_as_pythons_zones_have_them(zone: str, moments: list[datetime], near: bool) -> None:
    there = ZoneInfo(zone)
    if near:  # some day on which clocks change, minute by minute
        moments = [change + timedelta(minutes=step) for change in _changes(there)[:4] for step in range(-240, 240, 7)]
    local = [(moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) for moment in moments]
    for ambiguous, fold in (("earlier", 0), ("later", 1), ("reject", 0)):
        placed = place(np.array(local, np.int64), zone, ambiguous, "reject")
        for at, moment in enumerate(moments):
            first, second = (moment.replace(tzinfo=there, fold=fold).utcoffset() for fold in (0, 1))
            assert first is not None
            assert second is not None
            assert bool(placed.skipped[at]) is (first < second)
            assert bool(placed.twice[at]) is (first > second and ambiguous == "reject")
            if first < second or placed.twice[at]:
                continue
            wanted = moment.replace(tzinfo=there, fold=fold).astimezone(UTC)
            assert EPOCH + timedelta(microseconds=int(placed.instants[at])) == wanted


def _changes(zone: ZoneInfo) -> list[datetime]:
    days = [datetime(2005, 1, 1) + timedelta(days=day) for day in range(2600)]
    return [day for day in days if day.replace(tzinfo=zone).utcoffset() != _next(day).replace(tzinfo=zone).utcoffset()]


def _next(day: datetime) -> datetime:
    return day + timedelta(days=1)


PATTERNS = ["%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S", "%m/%d/%y %I:%M %p", "%d %b %Y %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S%z"]
PATTERNS += ["%d/%b/%Y:%H:%M:%S %z", "%Y %j %H", "%B %d, %Y %H:%M", "%a %d %B %y %I%p", "%F %T", "%Y-%m-%d"]


@settings(max_examples=150, deadline=None, derandomize=True)
@example(pattern="%a %d %B %y %I%p", moment=datetime(2000, 6, 1), change=10, by="")  # Jun for June
@given(
    pattern=st.sampled_from(PATTERNS),
    moment=st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30)),
    change=st.integers(0, 40),
    by=st.sampled_from(["", "0", "x", " ", "9", "-"]),
)
def test_patterns_are_as_pythons_strptime_has_them(
    kit: Any, tmp_path_factory: Any, pattern: str, moment: datetime, change: int, by: str
) -> None:
    aware = moment.replace(tzinfo=UTC)
    good = aware.strftime(pattern)
    odd = good[: change % len(good)] + by + good[change % len(good) + 1 :]
    spelling = {"time_format": pattern} | ({} if time_pattern(pattern).has_offset else {"zone": "UTC"})
    found = outcomes(kit, tmp_path_factory.mktemp("p"), "timestamp-micros", [good, odd], **spelling)
    full = pattern.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
    assert found[0] == datetime.strptime(good, full).replace(tzinfo=UTC)
    if not isinstance(found[1], str):  # what is read is what strptime reads, though it reads more
        wanted = _as_c_reads(odd, full)
        assert found[1] == (wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC))


def _as_c_reads(text: str, pattern: str) -> datetime:
    """By Python's strptime; as C's it takes a name of a month or weekday whole or abbreviated for either directive."""
    for month, weekday in product("bB", "aA"):
        with suppress(ValueError):
            named = pattern.replace("%b", "%B").replace("%B", f"%{month}").replace("%a", f"%{weekday}")
            return datetime.strptime(text, named)
    raise AssertionError(f"{text!r} isn't of {pattern!r}")


@pytest.mark.parametrize(
    ("pattern", "texts", "wanted"),
    [
        ("%d.%m.%Y %H:%M", ["5.1.2026 9:05", "05.01.2026 09:05"], "2026-01-05T08:05:00+00:00"),
        ("%m/%d/%Y %I:%M %p", ["1/5/2026 9:05 am", "01/05/2026 09:05 AM"], "2026-01-05T08:05:00+00:00"),
        ("%d.%m.%Y %H:%M", ["2026-01-05T08:05:00Z"], "2026-01-05T08:05:00+00:00"),
        (
            "%d.%m.%Y %H:%M",
            ["31.02.2026 09:05", "05.13.2026 09:05", "05.01.2026 24:00", "5.1.26 9:05", "1767600300"],
            "dead",
        ),
        ("%Y%m%d%H%M", ["2026015905"], "dead"),
    ],
)
def test_patterns(kit: Any, tmp_path: Path, pattern: str, texts: list[str], wanted: str) -> None:
    for found in outcomes(kit, tmp_path, "timestamp-micros", texts, time_format=pattern, **BERLIN):
        assert found.startswith(wanted) if isinstance(found, str) else found.isoformat() == wanted


UNITS: dict[str, Any] = {
    "epoch_seconds": 10**6,
    "epoch_millis": 10**3,
    "epoch_micros": 1,
    "epoch_nanos": Decimal("0.001"),
}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(form=st.sampled_from(list(UNITS)), micros=st.integers(-(10**15), 10**16), more=st.sampled_from(["", "4", "49"]))
def test_numbers_since_1970(kit: Any, tmp_path_factory: Any, form: str, micros: int, more: str) -> None:
    number = Decimal(micros) / Decimal(UNITS[form])
    text = f"{number:f}" + (("" if "." in f"{number:f}" else ".") + more if more else "")
    folder = tmp_path_factory.mktemp("n")
    ways = Ways(kit, folder, TYPES["timestamp-micros"], time_format=form)
    read = {"CSV": ways.csv([text]), **ways.json_texts([text])}
    read |= {f"{way}, a number": found for way, found in ways.json_tokens([text]).items()}
    ((kind, found),) = same([text], read)
    assert kind == "event"
    exact = Decimal(text) * Decimal(UNITS[form])
    assert (found - EPOCH) // timedelta(microseconds=1) == exact.to_integral_value("ROUND_FLOOR")


def test_whole_seconds_in_avro_are_seconds_where_the_source_says_so(kit: Any, tmp_path: Path) -> None:

    ways = Ways(kit, tmp_path, TYPES["timestamp-millis"], time_format="epoch_seconds")
    found = same(["1767600300", "-1"], ways.numbers([1_767_600_300, -1], pa.int64()))
    assert [value.isoformat() for _, value in found] == ["2026-01-05T08:05:00+00:00", "1969-12-31T23:59:59+00:00"]


@pytest.mark.parametrize(
    ("kind", "spelling", "texts", "wanted"),
    [
        ("long", {"nulls": ["NA", "\\N", "-999"]}, ["NA", "\\N", "-999", "5", ""], [None, None, None, 5, None]),
        ("string", {"nulls": ["NA", "null"]}, ["NA", "null", "na", "x"], [None, None, "na", "x"]),
        ("timestamp-micros", {"nulls": ["n/a"], "zone": "UTC"}, ["n/a"], [None]),
        ("decimal", {"nulls": ["-"]}, ["-", "1.5"], [None, Decimal("1.500")]),
        (
            "boolean",
            {"booleans": {"yes": ["Y", "ja"], "no": ["N"]}},
            ["y", "JA", "n", "true", "0"],
            [True, True, False, True, False],
        ),
        ("long", {"integers": "exact"}, ["1.0", "1e3", "+7", "-2.50e1", "12.", "007"], [1, 1000, 7, -25, 12, 7]),
        ("int", {"integers": "exact"}, ["2147483647.000", "-2147483648.0"], [2**31 - 1, -(2**31)]),
        ("double", {"decimal": ","}, ["1,5", "1.234.567,25", "-0,5", "3"], [1.5, 1234567.25, -0.5, 3.0]),
        ("decimal", {"decimal": ","}, ["1,5", "1.234,25"], [Decimal("1.500"), Decimal("1234.250")]),
        ("date", {"time_format": "%d.%m.%Y"}, ["31.12.1969"], [datetime(1969, 12, 31).date()]),
        (
            "local-timestamp-micros",
            {"time_format": "%d.%m.%Y %H:%M"},
            ["29.03.2026 02:30"],
            [datetime(2026, 3, 29, 2, 30)],
        ),
    ],
)
def test_other_spellings(
    kit: Any, tmp_path: Path, kind: str, spelling: Any, texts: list[str], wanted: list[Any]
) -> None:
    assert outcomes(kit, tmp_path, kind, texts, **spelling) == wanted


@pytest.mark.parametrize(
    ("kind", "spelling", "texts"),
    [
        (
            "long",
            {"integers": "exact"},
            ["1.5", "1e-1", "9223372036854775808.0", "1e19", "1_0", " 1", "NaN", "0x10", "1e999999999"],
        ),
        ("int", {"integers": "exact"}, ["2147483648.0"]),
        ("boolean", {"booleans": {"yes": ["Y"], "no": ["N"]}}, ["yes", "2", " y"]),
        ("double", {"decimal": ","}, ["1.5", "1,234.5", "1.23,4", "1,2,3"]),
        ("date", {"time_format": "%d.%m.%Y"}, ["29.02.2026", "5", "32.01.2026"]),
    ],
)
def test_what_is_none_in_any_spelling(kit: Any, tmp_path: Path, kind: str, spelling: Any, texts: list[str]) -> None:
    assert all(
        str(found).startswith("dead decode: 'x': ") for found in outcomes(kit, tmp_path, kind, texts, **spelling)
    )


def test_numbers_and_booleans_of_json_stay_what_they_are(kit: Any, tmp_path: Path) -> None:
    cases: list[tuple[str, Any, list[str], list[Any]]] = [
        (
            "boolean",
            {"booleans": {"yes": ["Y"], "no": ["N"]}},
            ["true", "false", "1", "null", '{"boolean":true}'],
            [True, False, True, None, True],
        ),
        ("double", {"decimal": ","}, ["1.5", "-2e1", '"1,5"'], [1.5, -20.0, 1.5]),
        ("long", {"nulls": ["-999"]}, ["-999", "5", '{"long":7}'], [None, 5, 7]),
        ("long", {"integers": "exact"}, ["9007199254740993.0", '"7"'], [9007199254740993, 7]),
    ]
    for kind, spelling, tokens, wanted in cases:
        found = same(tokens, Ways(kit, tmp_path, TYPES[kind], **spelling).json_tokens(tokens))
        assert [value for _, value in found] == wanted


@pytest.mark.parametrize(
    ("kind", "spelling", "avro", "parquet", "values"),
    [
        ("long", {"integers": "exact"}, "double", pa.float64(), [1.0, -7.0, 2.5, 1e15, None]),
        ("timestamp-micros", {"time_format": "epoch_seconds"}, "double", pa.float64(), [1767600300.25, None, 1e18]),
        ("timestamp-micros", {"time_format": "epoch_seconds"}, "long", pa.int64(), [1767600300, 0, None]),
        ("timestamp-millis", {"time_format": "epoch_nanos"}, "long", pa.int64(), [1767600300123456789, -1]),
        ("timestamp-micros", {"time_format": "%Y%m%d%H%M%S", **BERLIN}, "long", pa.int64(), [20260105120000, 5]),
        ("date", {"time_format": "%Y%m%d"}, "long", pa.int64(), [20260105, 20261301]),
        ("boolean", {"booleans": {"yes": ["Y"], "no": ["N"]}}, "int", pa.int32(), [1, 0, 2]),
        ("long", {"nulls": ["-999", "NA"]}, "long", pa.int64(), [-999, 5]),
        ("int", {"nulls": ["-999", "99999999999"]}, "int", pa.int32(), [-999, 5, None]),
        ("double", {"nulls": ["-99.0"]}, "float", pa.float16(), [-99.0, 5.5, None]),
        ("string", {"nulls": ["NA"]}, "string", pa.string(), ["NA", "x"]),
    ],
)
def test_typed_columns_are_read_as_they_are_spelt(
    kit: Any, tmp_path: Path, kind: str, spelling: Any, avro: str, parquet: pa.DataType, values: list[Any]
) -> None:
    ways = Ways(kit, tmp_path, TYPES[kind], **spelling)
    texts = ["" if value is None else str(value) for value in values]
    tokens = [json.dumps(value) for value in values]
    typed = ways.typed(values, avro, parquet)
    same(texts, {"CSV": ways.csv(texts), **ways.json_tokens(tokens), **typed})


def test_times_without_a_zone_in_parquet_are_of_the_declared_one(kit: Any, tmp_path: Path) -> None:
    times = [datetime(2026, 1, 5, 12), datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 29, 2, 30), None]
    ways = Ways(kit, tmp_path, TYPES["timestamp-micros"], **BERLIN)
    texts = ["" if time is None else str(time) for time in times]
    for unit in ("ms", "us", "ns"):
        found = same(texts, {"CSV": ways.csv(texts), "Parquet": ways.parquet(times, pa.timestamp(unit))})
        assert [kind for kind, _ in found] == ["event", "dead", "dead", "event"]
    zoned = ways.parquet([time and time.replace(tzinfo=UTC) for time in times], pa.timestamp("us", "UTC"))
    assert zoned[0] == ("event", datetime(2026, 1, 5, 12, tzinfo=UTC))


@pytest.mark.parametrize("format", ["json", "avro"])
@pytest.mark.parametrize(
    ("kind", "spelling", "text"),
    [
        ("timestamp-micros", {"time_format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "29.03.2026 09:30"),
        ("timestamp-millis", {"time_format": "epoch_seconds"}, "1767600300"),
        ("timestamp-micros", {"zone": "Europe/Berlin"}, "2026-03-29 09:30"),
        ("date", {"time_format": "%d.%m.%Y"}, "29.03.2026"),
        ("local-timestamp-micros", {"time_format": "%d.%m.%Y %H:%M"}, "29.03.2026 02:30"),
        ("wide-decimal", {"decimal": ","}, "1.234,5"),
        ("boolean", {"booleans": {"yes": ["Y"], "no": ["N"]}}, "Y"),
        ("string", {"nulls": ["NA"]}, "NA"),
    ],
)
def test_what_is_published_is_read_back(
    kit: Any, tmp_path: Path, kind: str, spelling: Any, text: str, format: str
) -> None:
    ways = Ways(kit, tmp_path, TYPES[kind], **spelling)
    ways.csv([text])
    table, dead = kit.read(tmp_path / "x.csv", ("id", "time", "x"), **ways.options)
    assert dead == []
    spec = kit.spec(format=format, **ways.options)
    decoded = decode_messages(spec, ("id", "time", "x"), kit.messages(encode_messages(spec, table)))
    assert decoded.dead == ()
    assert decoded.events.column("x").to_pylist() == table.column("x").to_pylist()


def test_days_near_the_ends_of_the_calendar_are_placed() -> None:

    placed = place(np.array([-62_135_596_800_000_000, 253_402_300_799_999_999]), "Europe/Berlin")
    assert not placed.twice.any()
    assert abs(placed.instants).max() < 253_402_300_800_000_000 + DAY
