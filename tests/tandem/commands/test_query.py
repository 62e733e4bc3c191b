"""`tandem query`: answers as tables and as JSON, and every mistake that a user can make."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tandem.output.answer_tables import value_text
from tandem.serving.questions.answers.json_values import json_value
from tandem.views.answers.point import answer

KEY = ("--key", "mill,EUR")
DAY = ("--window", "day", "--at", "2026-01-05T12:00")


def test_table_has_the_measures_and_the_certificate(served: Any) -> None:
    shown = served.run("query", "orders", *KEY, *DAY)
    assert shown.exit_code == 0, shown.stderr
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "orders shop=mill currency=EUR" in lines
    assert "2026-01-05T00:00:00Z to 2026-01-06T00:00:00Z (day)" in lines
    assert {"orders 4", "amount 30.5", "largest 16", "newest 2026-01-05T09:30:00Z", "shops mill (4)"} <= {*lines}
    assert "status PROVISIONAL" in lines
    assert "- 2 of 4 events come from live" in lines
    assert "from batch 2 (boundary: generation 1)" in lines
    assert "from live 2 (1 in generation 2, 1 in generation 3)" in lines
    assert {"late, pending 0", "dead letters 0"} <= {*lines}


def test_json_is_the_stores_answer(served: Any) -> None:
    shown = served.run("query", "orders", *KEY, *DAY, "--json")
    data = json.loads(shown.stdout)
    wanted = answer(served.store, served.compiled, '["mill","EUR"]', served.day, served.day + 24 * served.hour)
    assert set(data) == {"key", "start", "end", "results", "certificate"}
    assert (data["key"], data["start"], data["end"]) == (
        {"shop": "mill", "currency": "EUR"},
        "2026-01-05T00:00:00Z",
        "2026-01-06T00:00:00Z",
    )
    assert data["results"] == {**wanted.results, "newest": "2026-01-05T09:30:00Z"}
    certificate = data["certificate"]
    assert certificate["live_events"] == [[2, 1], [3, 1]]
    assert (certificate["events"], certificate["batch_events"], certificate["live_share"]) == (4, 2, 0.5)
    assert (certificate["watermark"], certificate["status"]) == ("2026-01-05T10:00:00Z", "PROVISIONAL")
    assert certificate["reasons"] == list(wanted.certificate.reasons)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(("--key", "shop=mill,currency=EUR"), id="named-columns"),
        pytest.param(("--key", '["mill","EUR"]'), id="json-array"),
        pytest.param(("--key", '{"currency": "EUR", "shop": "mill"}'), id="json-object"),
    ],
)
def test_keys_may_be_written_in_several_ways(served: Any, asked: tuple[str, str]) -> None:
    plain = served.run("query", "orders", *KEY, *DAY, "--json").stdout
    assert served.run("query", "orders", *asked, *DAY, "--json").stdout == plain


@pytest.mark.parametrize(
    ("asked", "span", "orders"),
    [
        pytest.param(("--window", "1h", "--at", "2026-01-05T08:59"), ("08", "09"), 3, id="duration"),
        pytest.param(("--window", "1h", "--at", "2026-01-05T09:59+01:00"), ("08", "09"), 3, id="zone"),
        pytest.param(("--window", "three_hours", "--at", "2026-01-05T09:10Z"), ("07", "10"), 4, id="sliding"),
        pytest.param(("--from", "2026-01-05T09:00", "--to", "2026-01-05T11:00"), ("09", "11"), 1, id="span"),
    ],
)
def test_times(served: Any, asked: tuple[str, ...], span: tuple[str, str], orders: int) -> None:
    data = json.loads(served.run("query", "orders", *KEY, *asked, "--json").stdout)
    assert (data["start"][11:13], data["end"][11:13], data["results"]["orders"]) == (*span, orders)


def test_without_at_the_window_holds_now(served: Any) -> None:
    data = json.loads(served.run("query", "orders", *KEY, "--window", "1d", "--json").stdout)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    # a day may end between the two
    assert data["start"][:10] <= now[:10] <= data["end"][:10]


def test_a_file_names_the_definition_too(served: Any) -> None:
    by_name = served.run("query", "orders", *KEY, *DAY, "--json").stdout
    assert served.run("query", str(served.file), *KEY, *DAY, "--json").stdout == by_name


def test_store_flag_names_another_store(served: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{served.home / 'views.db'}"
    shown = served.run("query", "orders", *KEY, *DAY, "--json", "--home", str(tmp_path / "else"), "--store", url)
    assert json.loads(shown.stdout)["results"]["orders"] == 4


@pytest.mark.parametrize("shape", [pytest.param((), id="table"), pytest.param(("--json",), id="json")])
def test_a_window_in_which_nothing_is_known_is_an_answer(served: Any, shape: tuple[str, ...]) -> None:
    shown = served.run("query", "orders", *KEY, "--window", "day", "--at", "2030-01-01", *shape)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "PROVISIONAL" in shown.stdout


def test_nothing_published_is_an_answer_too(empty: Any) -> None:
    data = json.loads(empty.run("query", "orders", *KEY, *DAY, "--json").stdout)
    assert data["results"]["orders"] == 0
    assert (data["certificate"]["status"], data["certificate"]["reasons"]) == (
        "PARTIAL",
        ["nothing is published yet"],
    )


def test_an_unknown_key_is_answered_with_a_hint(served: Any) -> None:
    shown = served.run("query", "orders", "--key", "mil,EUR", *DAY)
    assert shown.exit_code == 0
    assert "nothing is known of this key; keys there are: mill,EUR; oak,EUR" in shown.stdout
    known = served.run("query", "orders", *KEY, "--window", "day", "--at", "2030-01-01")
    assert "nothing is known of this key" not in known.stdout


def test_series_as_json(served: Any) -> None:
    asked = ("--from", "2026-01-05T07:00", "--to", "2026-01-05T10:00", "--series", "--measures", "orders")
    data = json.loads(served.run("query", "orders", *KEY, *asked, "--json").stdout)
    assert set(data) == {"key", "start", "end", "points", "certificate"}
    assert [(p["start"][11:13], p["results"], p["events"]) for p in data["points"]] == [
        ("07", {"orders": 0}, 0),
        ("08", {"orders": 3}, 3),
        ("09", {"orders": 1}, 1),
    ]
    assert data["certificate"]["events"] == 4


def test_series_as_table_with_a_step(served: Any) -> None:
    shown = served.run("query", "orders", *KEY, *DAY, "--series", "--step", "12h", "--measures", "mean,orders")
    lines = [
        line.split()
        for line in shown.stdout.splitlines()
        if line.strip().startswith("2026-01-05T") and " to " not in line
    ]
    assert lines == [
        ["2026-01-05T00:00:00Z", "4", "7.625", "4", "PROVISIONAL"],
        ["2026-01-05T12:00:00Z", "0", "-", "0", "PROVISIONAL"],
    ]


def test_series_of_many_measures_names_those_it_leaves_out(served: Any) -> None:
    shown = served.run("query", "orders", *KEY, *DAY, "--series", "--step", "12h")
    assert "not shown: middle, shops; name what you want with --measures, or take --json" in shown.stdout


def test_explain_says_where_the_numbers_come_from(served: Any) -> None:
    dead = served.Segment("000001-aa/0000", 9, 3, 2, 0, dead=2)
    late = served.Segment("000001-aa/0000", 4, 4, 1, 0, late=((served.day + 8 * served.hour, 1),))
    waiting = served.Segment("000001-aa/0000", 5, 5, 7, 7)
    served.store.live.write_segments(served.version, "000001-aa", [dead, late, waiting])
    shown = served.run("query", "orders", *KEY, *DAY, "--explain")
    text = " ".join(shown.stdout.split())
    for sentence in (
        f"publication 1 is served, since {datetime.now(UTC).year}",
        "boundary generation 1: up to there the journal is counted by batch, after it by live.",
        "batch run b-1 counted 2 of the 4 events",
        "live run 000001-aa counted 2 of the 4 events, all after the boundary: 1 in generation 2, 1 in generation 3.",
        "watermark 2026-01-05T10:00:00Z: live expects no event from before then",
        "The window is open until it reaches 2026-01-06T01:00:00Z.",
        "in flight 7 events that live received are not in its view yet",
        "late 1 events of this window (of all keys) came too late for live.",
        "dead letters 2 messages of this definition can't be decoded or computed",
        "residue 0: of all that batch received every event is counted",
        "conflicts 0: no two events with equal ids had different content.",
    ):
        assert sentence in text, text


def test_explain_of_nothing(empty: Any) -> None:
    shown = empty.run("query", "orders", *KEY, *DAY, "--explain")
    assert "nothing is published as orders yet" in " ".join(shown.stdout.split())


ONE_KEY = "key: []"


def test_a_definition_without_key_columns_needs_no_key(tmp_path: Path, request: Any) -> None:
    made = _installation(tmp_path, request, "key: [shop, currency]", ONE_KEY)
    data = json.loads(made.run("query", "orders", *DAY, "--json").stdout)
    assert data["key"] == {}


def _installation(tmp_path: Path, request: Any, old: str, new: str) -> Any:
    first = request.getfixturevalue("empty")
    folder = tmp_path / "other"
    folder.mkdir()
    made = type(first)(folder, first.text.replace(old, new))
    request.addfinalizer(made.store.close)
    return made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            (*DAY, "--series"),
            "a series is of one key: give --key shop=...,currency=...; all keys at once: run: tandem export orders "
            "--step STEP",
            id="no-key",
        ),
        pytest.param(
            ("--key", "mill", *DAY), "key 'mill' has 1 values, the key has 2: shop, currency", id="key-too-short"
        ),
        pytest.param(
            ("--key", '{"shop": "mill"}', *DAY),
            "key '{\"shop\": \"mill\"}': 'currency' is missing; the key is shop, currency",
            id="key-lacks-a-column",
        ),
        pytest.param(
            KEY,
            "which time? give --window (a duration such as 1h, day, three_hours; or day, week, month, quarter, year) "
            "with --at, or --from and --to, or --since",
            id="no-time",
        ),
        pytest.param(
            (*KEY, "--window", "fortnight"),
            "--window: 'fortnight' is not a duration; write whole numbers with a unit, such as 500ms, 1s, 5m, 1h30m, "
            "1d or 2w; the windows of orders are: day, three_hours; those of the calendar: day, week, month, "
            "quarter, year",
            id="unknown-window",
        ),
        pytest.param(
            (*KEY, "--window", "90m"), "--window 90m isn't a whole number of tiles of 1h", id="window-of-broken-tiles"
        ),
        pytest.param(
            (*KEY, "--window", "0s"), "--window 0s is empty; a duration above zero is wanted", id="empty-window"
        ),
        pytest.param(
            (*KEY, "--window", "day", "--at", "noon"),
            "--at 'noon' is not a time; write 2013-12-24, 2013-12-24T12:00 (UTC) or 2013-12-24T12:00+01:00",
            id="at-is-no-time",
        ),
        pytest.param(
            (*KEY, "--from", "2026-01-05"), "--from is given alone; --from and --to go together", id="from-alone"
        ),
        pytest.param((*KEY, "--to", "2026-01-05"), "--to is given alone; --from and --to go together", id="to-alone"),
        pytest.param(
            (*KEY, *DAY, "--from", "2026-01-05", "--to", "2026-01-06"),
            "--window and --from/--to exclude each other; give one or the other",
            id="window-and-from",
        ),
        pytest.param(
            (*KEY, "--at", "2026-01-05", "--from", "2026-01-05", "--to", "2026-01-06"),
            "--at and --from/--to exclude each other; give one or the other",
            id="at-and-from",
        ),
        pytest.param(
            (*KEY, "--from", "2026-01-06", "--to", "2026-01-05"),
            "--from 2026-01-06 isn't before --to 2026-01-05",
            id="from-after-to",
        ),
        pytest.param(
            (*KEY, "--from", "2026-01-05T00:30", "--to", "2026-01-06"),
            "--from 2026-01-05T00:30 isn't where a tile of 1h starts; "
            "next to it are 2026-01-05T00:00:00Z and 2026-01-05T01:00:00Z",
            id="from-inside-a-tile",
        ),
        pytest.param((*KEY, *DAY, "--step", "1h"), "--step 1h goes with --series", id="step-without-series"),
        pytest.param(
            (*KEY, *DAY, "--series", "--step", "90m"),
            "--step 90m isn't a whole number of tiles of 1h",
            id="step-of-broken-tiles",
        ),
        pytest.param(
            (*KEY, *DAY, "--series", "--step", "5h"), "--step 5h doesn't divide the span of 1d", id="step-left-over"
        ),
        pytest.param(
            (*KEY, "--from", "1900-01-01", "--to", "2026-01-01", "--series"),
            "1,104,504 steps of 1h; at most 100,000 a query",
            id="too-many-steps",
        ),
        pytest.param(
            (*KEY, *DAY, "--explain", "--json"),
            "--explain and --json exclude each other; the JSON has the whole certificate",
            id="explain-and-json",
        ),
        pytest.param(
            (*KEY, *DAY, "--measures", "orders,meen"),
            "--measures: orders has no measure 'meen'; did you mean 'mean'? "
            "allowed: orders, amount, largest, newest, mean, spread, middle, shops",
            id="unknown-measure",
        ),
        pytest.param(
            (*KEY, *DAY, "--wat"),
            "No such option: --wat (Possible options: --at, --to, --top); see `tandem query --help`",
            id="unknown-flag",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(served: Any, arguments: tuple[str, ...], message: str) -> None:
    shown = served.run("query", "orders", *arguments)
    assert (shown.exit_code, shown.stderr, shown.stdout) == (2, f"error: {message}\n", "")


def test_no_store(served: Any, tmp_path: Path) -> None:
    shown = served.run("query", "orders", *KEY, *DAY, "--home", str(tmp_path / "nowhere"))
    path = tmp_path / "nowhere" / "views.db"
    message = f"no view store at {path}: nothing has run there yet; --home or --store names another"
    assert (shown.exit_code, shown.stderr) == (2, f"error: {message}\n")
    assert not path.parent.exists()


def test_a_damaged_store(served: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "views.db"
    damaged.write_bytes(b"not a database, but long enough to be looked at" * 100)
    shown = served.run("query", "orders", *KEY, *DAY, "--store", str(damaged))
    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: view store ")
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("named", "message"),
    [
        pytest.param(
            "sales",
            "no definition named 'sales' in the view store: there are orders; a file's name has a dot or a slash",
            id="unknown-name",
        ),
        pytest.param("missing.yaml", "missing.yaml: no such file", id="missing-file"),
    ],
)
def test_definitions_that_are_not_there(served: Any, named: str, message: str) -> None:
    shown = served.run("query", named, *KEY, *DAY)
    assert (shown.exit_code, shown.stderr) == (2, f"error: {message}\n")


def test_a_broken_definition_names_file_line_and_field(served: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(served.text.replace("tile: 1h", "tile: 1 hour"), encoding="utf-8")
    shown = served.run("query", str(broken), *KEY, *DAY)
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"error: {broken}:16: tile: '1 hour' is not a duration")


def test_a_file_of_another_version_than_the_served_one(served: Any, tmp_path: Path, request: Any) -> None:
    other = _installation(tmp_path, request, "tile: 1h", "tile: 30m")
    shown = served.run("query", str(other.file), *KEY, *DAY)
    assert shown.exit_code == 2
    assert shown.stderr == (
        f"error: definition changed: {other.file} is version {other.version}, served is version {served.version} of "
        f"orders: ask by name (`tandem query orders`), compare them (`tandem diff orders {other.file}`), or publish "
        "the file's version first\n"
    )


def test_a_name_whose_schema_was_registered_as_a_file(empty: Any, tmp_path: Path, request: Any) -> None:
    other = _installation(tmp_path, request, "tile: 1h", "tile: 30m")
    source = "source: {schema: gone.avsc, format: json, event_id: id, event_time: at}"
    text = f"name: orders\n{source}\nkey: []\ntile: 1h\nmeasures: {{n: count}}\n"
    empty.store.definitions.register(other.compiled, text)
    shown = empty.run("query", "orders", *KEY, *DAY)
    assert (shown.exit_code, shown.stderr) == (
        2,
        "error: orders, as registered:2: source.schema: gone.avsc: no such file; name its file instead\n",
    )


@pytest.mark.parametrize(
    ("value", "data"),
    [
        pytest.param(math.nan, "NaN", id="nan"),
        pytest.param(math.inf, "Infinity", id="infinity"),
        pytest.param(-math.inf, "-Infinity", id="minus-infinity"),
        pytest.param(1.5, 1.5, id="float"),
        pytest.param(2**70, 2**70, id="long-integer"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal"),
        pytest.param(b"\x00\xff", "00ff", id="bytes"),
        pytest.param(datetime(2026, 1, 5, 1, tzinfo=UTC), "2026-01-05T01:00:00Z", id="timestamp"),
        pytest.param(datetime(2026, 1, 5, 1), "2026-01-05T01:00:00", id="local-timestamp"),
        pytest.param(date(2026, 1, 5), "2026-01-05", id="date"),
        pytest.param(time(1, 2), "01:02:00", id="time"),
        pytest.param({"0.5": math.nan}, {"0.5": "NaN"}, id="quantiles"),
        pytest.param([{"value": b"a", "count": 1}], [{"value": "61", "count": 1}], id="top-k"),
        pytest.param(True, True, id="boolean"),
        pytest.param(None, None, id="none"),
    ],
)
def test_results_as_json(value: object, data: object) -> None:
    assert json_value(value) == data
    assert json.loads(json.dumps(json_value(value), allow_nan=False)) == data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(1234567, "1,234,567", id="integer"),
        pytest.param(1234.5678901234567, "1,234.56789", id="float"),
        pytest.param(math.nan, "NaN", id="nan"),
        pytest.param(None, "-", id="none"),
        pytest.param(False, "false", id="boolean"),
        pytest.param({"0.5": 1.25, "0.9": None}, "0.5: 1.25, 0.9: -", id="quantiles"),
        pytest.param([{"value": "BOS", "count": 2000}], "BOS (2,000)", id="top-k-by-count"),
        pytest.param([{"value": "BOS", "sum": 0.5}], "BOS (0.5)", id="top-k-by-sum"),
        pytest.param([{"value": "BOS", "count": 7, "error": 2}], "BOS (7 ±2)", id="top-k-with-error"),
        pytest.param([], "-", id="empty-list"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal"),
    ],
)
def test_results_in_a_table(value: object, text: str) -> None:
    assert value_text(value) == text
