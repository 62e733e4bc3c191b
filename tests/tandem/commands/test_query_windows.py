"""`tandem query` and `tandem export` over calendar and cumulative windows and sessions, and mistakes in asking."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from samples.windowed import TEXT, Event, View, definition_of
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.pipelines.backfill import run as backfill
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import HOUR, MINUTE
from tandem.schemas.time.instants import instant_of

WINDOWS = (
    "month: {calendar: month, zone: Europe/Berlin}, total: {since: 2026-03-01}, "
    "this_year: {since: year, zone: Europe/Berlin}, hour: 1h, day: 1d, slide: {size: 3h, every: 1h}"
)
EVENTS = [
    Event(instant_of("2026-03-28T22:30"), 5),
    Event(instant_of("2026-03-28T23:10"), 7, generation=2),
    Event(instant_of("2026-03-29T00:39:59"), 1, generation=3),
    Event(instant_of("2026-03-29T12:00"), 2),
    Event(instant_of("2026-03-29T13:30"), 3),
    Event(instant_of("2026-04-02"), 9, "bob", 3),
]


class Home:
    """A home with the visits, and `tandem` run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        compiled = definition_of(HOUR, 90 * MINUTE, lateness=HOUR, more=WINDOWS)
        self.view = View(folder / "views.db", compiled, EVENTS, 2, instant_of("2026-03-29T14:00"))
        text = TEXT.format(tile="1h", gap="90m", lateness="1h", more=f", {WINDOWS}")
        with self.view.store.database.write() as connection:
            connection.exec_driver_sql("UPDATE definitions SET text = ?", (text,))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env={"TANDEM_HOME": str(self.folder)})

    def json(self, *arguments: str) -> Any:
        shown = self.run("query", "visits", "--key", "ann", *arguments, "--json")
        assert shown.exit_code == 0, shown.stderr
        return json.loads(shown.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("windows"))
    yield made
    made.view.store.close()


BERLIN = ("--zone", "Europe/Berlin")


def utc(text: str) -> str:
    """The same instant in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("asked", "start", "end", "n"),
    [
        pytest.param(
            ("--window", "day", *BERLIN, "--at", "2026-03-29"), "03-28T23", "03-29T22", 4, id="a-day-of-23-hours"
        ),
        pytest.param(("--window", "day", *BERLIN, "--at", "2026-03-28T23:30Z"), "03-28T23", "03-29T22", 4, id="offset"),
        pytest.param(("--window", "day", "--at", "2026-03-29"), "03-29T00", "03-30T00", 3, id="declared-day"),
        pytest.param(("--window", "week", "--at", "2026-03-29"), "03-23T00", "03-30T00", 5, id="week-in-utc"),
        pytest.param(
            ("--window", "week", "--first-day", "sunday", "--at", "2026-03-29"),
            "03-29T00",
            "04-05T00",
            3,
            id="from-sunday",
        ),
        pytest.param(("--window", "month", "--at", "2026-03-31T23:59"), "02-28T23", "03-31T22", 5, id="declared-month"),
        pytest.param(
            ("--window", "month", *BERLIN, "--at", "2026-04-01"), "03-31T22", "04-30T22", 0, id="its-own-zone"
        ),
        pytest.param(
            ("--window", "quarter", "--zone", "Asia/Tokyo", "--at", "2026-04-01"),
            "03-31T15",
            "06-30T15",
            0,
            id="quarter",
        ),
        pytest.param(("--since", "2026-03-29", "--to", "2026-03-29T13:00"), "03-29T00", "03-29T13", 2, id="since"),
        pytest.param(
            ("--since", "2026-03-29", *BERLIN, "--at", "2026-03-29T01:39"), "03-28T23", "03-29T01", 2, id="local"
        ),
        pytest.param(("--since", "month", "--at", "2026-03-29T12:00"), "03-01T00", "03-29T13", 4, id="since-month"),
        pytest.param(("--since", "ever", "--to", "2026-04-01"), "03-28T22", "04-01T00", 5, id="since-ever"),
        pytest.param(("--window", "total", "--at", "2026-03-29T01:00"), "03-01T00", "03-29T02", 3, id="declared-since"),
        pytest.param(("--window", "this_year", "--at", "2026-01-01T00:30"), "12-31T23", "01-01T00", 0, id="year"),
    ],
)
def test_spans(home: Home, asked: tuple[str, ...], start: str, end: str, n: int) -> None:
    found = home.json(*asked)
    assert (utc(found["start"])[5:13], utc(found["end"])[5:13], found["results"]["n"]) == (start, end, n)
    zone = ZoneInfo(asked[asked.index("--zone") + 1]) if "--zone" in asked else None
    for text in (found["start"], found["end"]):
        at = datetime.fromisoformat(text)
        assert text == (at.astimezone(zone).isoformat() if zone else at.isoformat().replace("+00:00", "Z"))


@pytest.mark.parametrize(
    ("asked", "points"),
    [
        pytest.param(
            ("--window", "week", *BERLIN, "--at", "2026-03-29", "--step", "day"),
            [
                *((f"03-{day}T23", f"03-{day + 1}T23", int(day == 27)) for day in range(22, 28)),
                ("03-28T23", "03-29T22", 4),
            ],
            id="days-of-a-week",
        ),
        pytest.param(
            ("--from", "2026-03-15", "--to", "2026-04-15", "--step", "month"),
            [("03-15T00", "04-01T00", 5), ("04-01T00", "04-15T00", 0)],
            id="months-cut-by-the-span",
        ),
        pytest.param(
            ("--from", "2026-03-29", "--to", "2026-03-30", *BERLIN, "--step", "day"),
            [("03-28T23", "03-29T22", 4)],
            id="local-bounds",
        ),
        pytest.param(
            ("--since", "2026-03-28T20:00", "--to", "2026-03-29T14:00", "--step", "8h"),
            [("03-28T20", "03-29T04", 3), ("03-28T20", "03-29T12", 3), ("03-28T20", "03-29T14", 5)],
            id="cumulative",
        ),
        pytest.param(
            ("--since", "ever", "--to", "2026-03-30", "--step", "day"),
            [("03-28T00", "03-29T00", 2), ("03-28T00", "03-30T00", 5)],
            id="cumulative-since-ever",
        ),
    ],
)
def test_series(home: Home, asked: tuple[str, ...], points: list[tuple[str, str, int]]) -> None:
    found = home.json(*asked, "--series")
    assert [(utc(p["start"])[5:13], utc(p["end"])[5:13], p["results"]["n"]) for p in found["points"]] == points


def test_tables_say_which_window_it_is(home: Home) -> None:
    day = home.run("query", "visits", "--key", "ann", "--window", "day", *BERLIN, "--at", "2026-03-29").stdout
    assert "2026-03-29T00:00:00+01:00 to 2026-03-30T00:00:00+02:00 (day, Europe/Berlin, 23h)" in day
    since = ("--since", "2026-03-28", "--to", "2026-03-30", "--series", "--step", "1d")
    running = home.run("query", "visits", "--key", "ann", *since).stdout
    assert "(since 2026-03-28)" in running
    assert running.index("until") < running.index("2026-03-29T00:00:00Z", running.index("until"))


SESSIONS = [("03-28T22:30:00Z", "03-29T00:39:59Z", 3, False), ("03-29T12:00:00Z", "03-29T12:00:00Z", 1, False)]
OPEN = ("03-29T13:30:00Z", "03-29T13:30:00Z", 1, True)


@pytest.mark.parametrize(
    ("asked", "sessions"),
    [
        pytest.param(("--sessions", "--from", "2026-03-28", "--to", "2026-03-30"), [*SESSIONS, OPEN], id="span"),
        pytest.param(
            ("--window", "visit", "--from", "2026-03-29T00:10:07", "--to", "2026-03-29T00:10:08"),
            SESSIONS[:1],
            id="named",
        ),
        pytest.param(("--sessions", "--window", "hour", "--at", "2026-03-29T12:30"), SESSIONS[1:], id="of-an-hour"),
        pytest.param(("--session-at", "2026-03-29T02:00"), SESSIONS[:1], id="at"),
        pytest.param(("--window", "visit", "--at", "2026-03-29T02:09:59"), [], id="named-at"),
        pytest.param(
            ("--sessions", "--gap", "90m1us", "--from", "2026-03-29T12:00", "--to", "2026-03-30"),
            [("03-29T12:00:00Z", "03-29T13:30:00Z", 2, True)],
            id="another-gap",
        ),
    ],
)
def test_sessions(home: Home, asked: tuple[str, ...], sessions: list[tuple[str, str, int, bool]]) -> None:
    found = home.json(*asked)
    assert set(found) == {"key", "start", "end", "gap", "sessions", "certificate"}
    assert [(s["start"][5:], s["end"][5:], s["events"], s["open"]) for s in found["sessions"]] == sessions


def test_a_session_in_json(home: Home) -> None:
    (found,) = home.json("--session-at", "2026-03-29T00:00", "--measures", "amount")["sessions"]
    assert found == {
        "start": "2026-03-28T22:30:00Z",
        "end": "2026-03-29T00:39:59Z",
        "closes": "2026-03-29T02:09:59Z",
        "open": False,
        "events": 3,
        "status": "PROVISIONAL",
        "reasons": ["1 of 3 events come from live"],
        "results": {"amount": 13},
    }


def test_sessions_as_a_table(home: Home) -> None:
    asked = ("query", "visits", "--key", "ann", "--sessions", "--from", "2026-03-28", "--to", "2026-03-30", "--explain")
    lines = [" ".join(line.split()) for line in home.run(*asked).stdout.splitlines()]
    assert "2026-03-28T00:00:00Z to 2026-03-30T00:00:00Z (visit: sessions with gaps below 90m)" in lines
    assert "2026-03-28T22:30:00Z 2026-03-29T00:39:59Z 3 3 13 7 3 PROVISIONAL" in lines
    assert "- 1 of 3 sessions are open" in lines
    assert any(line.startswith("watermark 2026-03-29T14:00:00Z") for line in lines)
    nothing = home.run("query", "visits", "--key", "ann", "--session-at", "2026-03-29T05:00")
    assert (nothing.exit_code, "no session" in nothing.stdout, "2026-03-29T05:00:00Z (visit" in nothing.stdout) == (
        0,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(
            ("--window", "day", "--zone", "Europe/Berln"),
            "--zone: 'Europe/Berln' is not a time zone; did you mean 'Europe/Berlin'?",
            id="unknown-zone",
        ),
        pytest.param(
            ("--window", "day", "--zone", "Asia/Kolkata", "--at", "2026-01-01"),
            "tiles of 1h don't divide the offset +05:30 that Asia/Kolkata has on 2026-01-01; tiles of 30m would",
            id="offset-of-half-an-hour",
        ),
        pytest.param(
            ("--window", "day", *BERLIN, "--at", "1850-01-01"),
            "tiles of 1h don't divide the offset +00:53:28 that Europe/Berlin has on 1850-01-01; tiles of 8s would",
            id="offset-with-seconds",
        ),
        pytest.param(
            ("--window", "hour", "--series", "--step", "day", "--zone", "Asia/Kolkata", "--at", "2026-01-01T00:00Z"),
            "tiles of 1h don't divide the offset +05:30 that Asia/Kolkata has on 2026-01-01; tiles of 30m would",
            id="offset-of-steps",
        ),
        pytest.param(
            ("--window", "month", "--zone", "Asia/Tokyo"),
            "--zone Asia/Tokyo, but window month of visits has Europe/Berlin",
            id="two-zones",
        ),
        pytest.param(
            ("--window", "day", *BERLIN, "--first-day", "sunday"),
            "--first-day sunday goes with a week: --window, --since or --step week",
            id="first-day-of-a-day",
        ),
        pytest.param(
            ("--window", "week", "--first-day", "sun"),
            "--first-day 'sun': did you mean 'sunday'? allowed: monday, tuesday, wednesday, thursday, friday, "
            "saturday, "
            "sunday",
            id="unknown-day",
        ),
        pytest.param(
            ("--window", "month", "--at", "2026-03-15", "--series", "--step", "1d"),
            "--step 1d doesn't divide the span of 743h; a step of the calendar does: day, week, month, quarter, year",
            id="step-over-a-change-of-clocks",
        ),
        pytest.param(
            ("--window", "day", *BERLIN, "--at", "9999-12-31T23:30"),
            "calendar windows are of the years 1 to 9999; this one reaches outside",
            id="after-the-calendar",
        ),
        pytest.param(
            ("--since", "yesterday"),
            "--since 'yesterday' is not a time; write 2013-12-24, 2013-12-24T12:00 (UTC) or 2013-12-24T12:00+01:00; or "
            "day, week, month, quarter, year, ever",
            id="since-no-time",
        ),
        pytest.param(
            ("--since", "2026-03-28T00:30", "--to", "2026-03-29"),
            "--since 2026-03-28T00:30 isn't where a tile of 1h starts; next to it are 2026-03-28T00:00:00Z and "
            "2026-03-28T01:00:00Z",
            id="since-within-a-tile",
        ),
        pytest.param(
            ("--since", "2027-01-01", "--to", "2026-01-01"),
            "--since 2027-01-01 isn't before --to 2026-01-01",
            id="backwards",
        ),
        pytest.param(
            ("--since", "day", "--window", "day"),
            "--window and --since exclude each other; give one or the other",
            id="since-and-window",
        ),
        pytest.param(
            ("--since", "day", "--at", "2026-01-01", "--to", "2026-01-02"),
            "--at and --to exclude each other; give one or the other",
            id="since-to-and-at",
        ),
        pytest.param(
            ("--since", "1900-01-01", "--at", "2026-01-01", "--series"),
            "1,104,505 steps of 1h; at most 100,000 a query",
            id="since-too-many-steps",
        ),
        pytest.param(
            ("--sessions",), "which sessions? give --from and --to, --window with --at, or --session-at", id="no-span"
        ),
        pytest.param(("--gap", "2h"), "--gap 2h goes with --sessions or --session-at", id="gap-alone"),
        pytest.param(("--session-at", "noon", "--gap", "x"), "--gap: 'x' is not a duration", id="gap-no-duration"),
        pytest.param(("--session-at", "noon"), "--session-at 'noon' is not a time", id="session-at-no-time"),
        pytest.param(
            ("--sessions", "--gap", "30m", "--from", "2026-03-28", "--to", "2026-03-29"),
            "--gap 30m is shorter than the tile, 1h",
            id="gap-below-the-tile",
        ),
        pytest.param(
            ("--sessions", "--from", "2026-03-28", "--to", "2026-03-29", "--series"),
            "--series and sessions exclude each other; sessions are listed one by one",
            id="sessions-in-series",
        ),
        pytest.param(
            ("--sessions", "--session-at", "2026-03-28"),
            "--sessions and --session-at exclude each other; give one or the other",
            id="sessions-twice",
        ),
        pytest.param(
            ("--sessions", "--since", "day"),
            "--since and sessions exclude each other; give --from and --to",
            id="since",
        ),
        pytest.param(
            ("--sessions", "--window", "total"),
            "--window total is cumulative; sessions are of a span: give --from and --to",
            id="sessions-of-a-cumulative-window",
        ),
        pytest.param(
            ("--sessions", "--from", "2026-03-29", "--to", "2026-03-28"),
            "--from 2026-03-29 isn't before --to 2026-03-28",
            id="sessions-backwards",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(home: Home, asked: tuple[str, ...], message: str) -> None:
    shown = home.run("query", "visits", "--key", "ann", *asked)
    assert (shown.exit_code, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert shown.stderr.startswith(f"error: {message}")
    if len(message) > 60:
        assert shown.stderr == f"error: {message}\n"


def test_sessions_of_a_definition_that_declares_none(served: Any) -> None:
    shown = served.run("query", "orders", "--key", "mill,EUR", "--session-at", "2026-01-05")
    assert (shown.exit_code, shown.stderr) == (
        2,
        "error: orders declares no session window, so its tiles don't keep what sessions need: add "
        "`windows: {visit: {session: 30m}}` to the definition (a gap of at least its tile, 1h), and build "
        "that version\n",
    )


def test_which_of_several_session_windows(tmp_path: Path) -> None:
    from tandem.serving.questions.selection.session_spans import SessionFlags, session_span
    from tandem.serving.questions.selection.spans import TimeFlags

    definition = definition_of(HOUR, HOUR, more="pause: {session: 5h}").definition
    flags = TimeFlags(0, start="2026-01-01", end="2026-01-02")
    with pytest.raises(
        UserError, match=r"which sessions[?] visits has visit, pause; name one with --window, or give --gap"
    ):
        session_span(definition, flags, SessionFlags(sessions=True))
    named = session_span(definition, TimeFlags(0, window="pause", at="2026-01-01"), SessionFlags())
    assert named is not None
    assert (named.gap, named.end) == (5 * HOUR, None)


@pytest.mark.parametrize(
    ("flags", "rows"),
    [
        pytest.param(("--window", "month"), [("02-28T23:00", 5), ("03-31T22:00", 1)], id="declared"),
        pytest.param(
            ("--window", "week", "--zone", "America/New_York"), [("03-23T04:00", 5), ("03-30T04:00", 1)], id="week"
        ),
        pytest.param(
            ("--window", "day", *BERLIN), [("03-27T23:00", 1), ("03-28T23:00", 4), ("04-01T22:00", 1)], id="day"
        ),
        pytest.param(("--window", "day"), [("03-28T00:00", 2), ("03-29T00:00", 3), ("04-02T00:00", 1)], id="fixed"),
        pytest.param(
            ("--window", "visit"),
            [("03-28T22:30", 3), ("03-29T12:00", 1), ("03-29T13:30", 1), ("04-02T00:00", 1)],
            id="sessions",
        ),
    ],
)
def test_export(home: Home, flags: tuple[str, ...], rows: list[tuple[str, int]]) -> None:
    shown = home.run("export", "visits", *flags, "--format", "csv")
    assert shown.exit_code == 0, shown.stderr
    found = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [(utc(row["start"])[5:16], int(row["n"])) for row in found] == rows
    assert list(found[0]) == ["user", "start", "end", "events", "batch_events", "n", "amount", "largest", "amounts"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(("--window", "slide"), "--window slide overlaps itself", id="sliding"),
        pytest.param(("--window", "total"), "--window total overlaps itself", id="cumulative"),
        pytest.param(("--window", "hour", "--step", "1h"), "--step and --window exclude each other", id="both"),
        pytest.param(("--window", "day", "--zone", "Asia/Kolkata"), "tiles of 1h don't divide the offset", id="offset"),
        pytest.param(("--zone", "UCT+1"), "--zone: 'UCT+1' is not a time zone", id="zone"),
    ],
)
def test_exports_that_are_refused(home: Home, flags: tuple[str, ...], message: str) -> None:
    shown = home.run("export", "visits", *flags)
    assert (shown.exit_code, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert shown.stderr.startswith(f"error: {message}")


def test_a_definition_with_sessions_from_files_to_the_answer(tmp_path: Path) -> None:
    """The real pipeline keeps the times; the certificate of closed sessions is FINAL."""
    text = TEXT.format(tile="1m", gap="30m", lateness="0s", more="")
    (tmp_path / "visits.yaml").write_text(text, encoding="utf-8")
    minutes = [0, 29, 58, 59, 90, 120, 150]
    lines = [json.dumps({"id": str(m), "at": m * MINUTE, "user": "ann", "amount": m}) for m in reversed(minutes)]
    (tmp_path / "visits.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    where = ["--home", str(tmp_path / "home")]
    files = ["--files", str(tmp_path / "visits.jsonl"), "--complete-until", "1970-01-03"]
    backfill(read_arguments("backfill", ["--definition", str(tmp_path / "visits.yaml"), *files, *where]))
    asked = ["query", "visits", "--key", "ann", "--sessions", "--from", "1970-01-01", "--to", "1970-01-02", "--json"]
    found = json.loads(CliRunner().invoke(app, [*asked, *where]).stdout)
    assert [(s["start"][11:16], s["end"][11:16], s["events"], s["status"]) for s in found["sessions"]] == [
        ("00:00", "00:59", 4, "FINAL"),
        ("01:30", "01:30", 1, "FINAL"),
        ("02:00", "02:00", 1, "FINAL"),
        ("02:30", "02:30", 1, "FINAL"),
    ]
    assert found["certificate"]["status"] == "FINAL"
