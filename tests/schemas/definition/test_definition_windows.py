"""The `windows:` section: what can be declared, what is refused, and what a session does to states and versions."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from tandem.schemas.columns import FIRST_TIME, LAST_TIME
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import DefinitionError
from tandem.schemas.time.durations import HOUR, MINUTE
from tandem.schemas.time.windows import EVER, CalendarWindow, CumulativeWindow, SessionWindow, Window

TEXT = """\
name: clicks
source:
  schema: {{type: record, name: Click, fields: [
    {{name: id, type: string}}, {{name: at, type: {{type: long, logicalType: timestamp-micros}}}}]}}
  format: json
  event_id: id
  event_time: at
key: []
tile: {tile}
measures: {{n: count}}
windows:
  w: {window}
"""


def declared(window: str, tile: str = "1h") -> Definition:
    return loads(TEXT.format(window=window, tile=tile), file="c.yaml")


@pytest.mark.parametrize(
    ("text", "tile", "window"),
    [
        pytest.param("1d", "1h", Window.model_validate("1d"), id="fixed"),
        pytest.param("{size: 1d, every: 6h}", "1h", Window.model_validate({"size": "1d", "every": "6h"}), id="sliding"),
        pytest.param("{calendar: month}", "1d", CalendarWindow(calendar="month"), id="month"),
        pytest.param(
            "{calendar: week, zone: Asia/Kolkata, first_day: sunday}",
            "30m",
            CalendarWindow(calendar="week", zone="Asia/Kolkata", first_day="sunday"),
            id="week",
        ),
        pytest.param(
            "{calendar: day, zone: Asia/Singapore}",
            "1h",
            CalendarWindow(calendar="day", zone="Asia/Singapore"),
            id="a-zone-that-had-another-offset-long-ago",
        ),
        pytest.param("{since: 2013-01-01}", "1d", CumulativeWindow(since="2013-01-01"), id="since"),
        pytest.param("{since: ever}", "1d", CumulativeWindow(since="ever"), id="ever"),
        pytest.param(
            "{since: year, zone: Europe/Berlin}",
            "1h",
            CumulativeWindow(since="year", zone="Europe/Berlin"),
            id="since-the-start-of-a-period",
        ),
        pytest.param("{session: 1h}", "1h", SessionWindow.model_validate({"session": "1h"}), id="session"),
        pytest.param("{session: {gap: 90m}}", "1h", SessionWindow.model_validate({"session": "90m"}), id="session-gap"),
    ],
)
def test_windows_that_can_be_declared(text: str, tile: str, window: object) -> None:
    definition = declared(text, tile)
    assert definition.windows == {"w": window}
    assert pickle.loads(pickle.dumps(definition)) == definition


@pytest.mark.parametrize(
    ("text", "tile", "message"),
    [
        pytest.param(
            "{calendar: day, zone: Asia/Kolkata}",
            "1h",
            "windows.w.zone: tiles of 1h don't divide the offset +05:30 that Asia/Kolkata has on 2020-01-01; "
            "tiles of 30m "
            "would",
            id="tile-and-offset",
        ),
        pytest.param(
            "{calendar: day, zone: Australia/Lord_Howe}",
            "1h",
            "windows.w.zone: tiles of 1h don't divide the offset +10:30 that Australia/Lord_Howe has on "
            "2020-04-05; tiles "
            "of 30m would",
            id="tile-and-summer-time",
        ),
        pytest.param(
            "{since: month, zone: Europe/Berlin}",
            "1d",
            "windows.w.zone: tiles of 1d don't divide the offset +01:00 that Europe/Berlin has on 2020-01-01; "
            "tiles of 1h "
            "would",
            id="tile-of-a-day",
        ),
        pytest.param(
            "{calendar: day, zone: Europe/Berln}",
            "1h",
            "windows.w.zone: 'Europe/Berln' is not a time zone; did you mean 'Europe/Berlin'?",
            id="unknown-zone",
        ),
        pytest.param(
            "{calendar: day, zone: new york}",
            "1h",
            "windows.w.zone: 'new york' is not a time zone; did you mean 'America/New_York'?",
            id="city-alone",
        ),
        pytest.param(
            "{calendar: day, zone: ../etc}",
            "1h",
            "windows.w.zone: '../etc' is not a time zone; write an IANA name such as Europe/Berlin or UTC",
            id="no-zone-at-all",
        ),
        pytest.param(
            "{calendar: decade}",
            "1h",
            "windows.w.calendar: found 'decade'; allowed: 'day', 'week', 'month', 'quarter', 'year'",
            id="unknown-period",
        ),
        pytest.param(
            "{calendar: week, first_day: sun}",
            "1h",
            "windows.w.first_day: found 'sun'; allowed: 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', "
            "'saturday', 'sunday'",
            id="unknown-day",
        ),
        pytest.param(
            "{size: 1d, calendar: day}",
            "1h",
            "windows.w: size and calendar in one window; a window has one of size, calendar, since, session",
            id="fixed-and-calendar",
        ),
        pytest.param(
            "{calender: day}",
            "1h",
            "windows.w: unknown field 'calender'; did you mean 'calendar'? allowed: size, calendar, since, "
            "session, every",
            id="misspelt",
        ),
        pytest.param(
            "{session: 30m, zone: UTC}", "1m", "windows.w.zone: unknown field 'zone'; allowed: session", id="more"
        ),
        pytest.param(
            "{session: 30m}",
            "1h",
            "windows.w.session.gap: 30m is shorter than the tile, 1h; tiles can't tell such sessions apart: use "
            "a longer "
            "gap, or shorter tiles",
            id="gap-below-the-tile",
        ),
        pytest.param("{session: {}}", "1h", "windows.w.session: 'gap' is missing; required: gap", id="no-gap"),
        pytest.param(
            "{session: {gap: 1h, gp: 2h}}",
            "1h",
            "windows.w.session.gp: unknown field 'gp'; did you mean 'gap'? allowed: gap",
            id="unknown-field-of-a-session",
        ),
        pytest.param(
            "{since: soon}",
            "1h",
            "windows.w: 'soon' is not a time; write 2013-12-24, 2013-12-24T12:00 (UTC) or "
            "2013-12-24T12:00+01:00; or day, "
            "week, month, quarter, year, ever",
            id="since-no-time",
        ),
        pytest.param(
            "{since: 2013-01-01T00:30}",
            "1h",
            "windows.w.since: 2013-01-01T00:30 isn't where a tile of 1h starts",
            id="since-within-a-tile",
        ),
        pytest.param(
            "{since: 2013-01-01, zone: Asia/Kolkata}",
            "1h",
            "windows.w.since: tiles of 1h don't divide the offset +05:30 that Asia/Kolkata has on 2013-01-01; "
            "tiles of 30m "
            "would",
            id="since-in-a-zone",
        ),
    ],
)
def test_windows_that_are_refused(text: str, tile: str, message: str) -> None:
    with pytest.raises(DefinitionError) as error:
        declared(text, tile)
    assert str(error.value) == f"c.yaml:12: {message}"


def test_a_session_makes_tiles_keep_the_times_of_their_ends() -> None:
    plain, with_session = compile_definition(declared("1d")), compile_definition(declared("{session: 1h}"))
    assert [name for name, _ in plain.measures] == ["n"]
    assert [name for name, _ in with_session.measures] == ["n", FIRST_TIME, LAST_TIME]
    states = [measure.encode(pa.array([{"value": 5}], measure.state_type)) for _, measure in with_session.measures[1:]]
    assert [state[0].as_py() for state in states] == [b"\x01\x05\x00\x00\x00\x00\x00\x00\x00\x01"] * 2


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        pytest.param("{calendar: month, zone: Europe/Berlin}", False, id="calendar"),
        pytest.param("{since: ever}", False, id="cumulative"),
        pytest.param("{session: 1h}", True, id="session"),
    ],
)
def test_only_a_session_changes_the_version(text: str, changes: bool) -> None:
    assert (declared(text).version != declared("1d").version) == changes


def test_the_gap_is_not_part_of_the_version() -> None:
    assert declared("{session: 1h}").version == declared("{session: {gap: 9h}}").version


def test_where_cumulative_windows_start() -> None:
    at = 1_774_749_600_000_000  # 2026-03-29T02:00:00Z, 4 o'clock in Berlin
    starts = {
        text: CumulativeWindow(since=text, zone="Europe/Berlin").start_at(at)
        for text in ("ever", "2026-03-29", "2026-03-29T00:30Z", "day")
    }
    midnight = at - 3 * HOUR
    assert starts == {
        "ever": EVER,
        "2026-03-29": midnight,
        "2026-03-29T00:30Z": at - 90 * MINUTE,
        "day": midnight,
    }
