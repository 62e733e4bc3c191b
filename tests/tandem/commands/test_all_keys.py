"""Questions over all keys, conditions, rankings, zones, and the forms that answers are exported in."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from tandem.app import app
from tandem.serving.questions.exports.forms import without_formula
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer

DAY = ("--window", "day", "--at", "2026-01-05T12:00")
HOURS = ("--from", "2026-01-05T08:00", "--to", "2026-01-05T10:00")
DERIVED = "derive_results: {per_order: amount / orders, above: largest / (amount - 9)}\nwindows:"
SHOPS = ["mill", "oak", "=elm", "käse", "-5", 'quo"ted', ""]


@pytest.fixture
def many(tmp_path: Path, empty: Any) -> Iterator[Any]:
    """Orders of seven shops in two currencies over some hours, from batch and from live, with derived results."""
    folder = tmp_path / "many"
    folder.mkdir()
    made = type(empty)(folder, empty.text.replace("windows:", DERIVED))
    draw = random.Random(7)

    def orders(count: int, generation: int) -> list[Any]:
        shops = [(draw.choice(SHOPS), draw.choice(["EUR", "CHF"])) for _ in range(count)]
        amounts = [draw.randrange(1, 400) / 4 for _ in range(count)]
        places = zip(shops, amounts, strict=True)
        return [made.Order(draw.uniform(7, 11), amount, *shop, generation=generation) for shop, amount in places]

    made.store.live.start(made.version, "000001-aa")
    counted = orders(60, 1)
    made.live("000001-aa", counted)
    made.batch("b-1", 1, counted, built_for="000001-aa")
    made.live("000001-aa", orders(20, 2) + orders(10, 3))
    made.store.live.set_watermark(made.version, "000001-aa", made.day + 10 * made.hour)
    made.store.publishing.publish("orders", made.version, "b-1", "000001-aa")
    yield made
    made.store.close()


def asked(installation: Any, *flags: str) -> Any:
    shown = installation.run("query", "orders", *flags, "--json")
    assert shown.exit_code == 0, shown.stderr
    return json.loads(shown.stdout)


@pytest.mark.parametrize("hours", [pytest.param((8, 10), id="two"), pytest.param((0, 24), id="day")])
def test_each_key_has_its_own_answer(many: Any, hours: tuple[int, int]) -> None:
    start, end = (many.day + hour * many.hour for hour in hours)
    found = states_of_all_keys(many.store, many.compiled, start, end)
    assert list(found.keys) == sorted(found.keys)
    for key, events, batch, results in zip(found.keys, found.events, found.batch_events, found.results(), strict=True):
        one = answer(many.store, many.compiled, key, start, end)
        assert (results, events, batch) == (one.results, one.certificate.events, one.certificate.batch_events)
    every = {row.key for row in all_answers(many.store, many.compiled) if start <= row.start < end}
    assert set(found.keys) == every
    assert found.certificate.events == found.events.sum()


def test_json_of_all_keys(many: Any) -> None:
    found = asked(many, *HOURS)
    assert set(found) == {"start", "end", "keys", "answers", "total", "certificate"}
    assert found["keys"] == len(found["answers"])
    assert all(set(each["key"]) == {"shop", "currency"} for each in found["answers"])
    total = found["total"]
    for name in ("events", "batch_events"):
        assert total[name] == sum(each[name] for each in found["answers"])
    assert total["results"]["orders"] == sum(each["results"]["orders"] for each in found["answers"])
    assert total["results"]["largest"] == max(each["results"]["largest"] for each in found["answers"])
    assert total["results"]["mean"] == total["results"]["amount"] / total["results"]["orders"]
    assert total["results"]["per_order"] == total["results"]["mean"]
    assert found["certificate"]["events"] == total["events"]
    assert found["certificate"]["status"] == "PROVISIONAL"


def test_top_and_bottom(many: Any) -> None:
    everything = asked(many, *DAY)
    by_amount = sorted((each["results"]["amount"] for each in everything["answers"]), reverse=True)
    top, bottom = (
        asked(many, *DAY, "--top", "3", "--by", "amount"),
        asked(many, *DAY, "--bottom", "2", "--by", "amount"),
    )
    assert [each["results"]["amount"] for each in top["answers"]] == by_amount[:3]
    assert [each["results"]["amount"] for each in bottom["answers"]] == by_amount[:-3:-1]
    assert top["total"] == bottom["total"] == everything["total"]
    assert top["keys"] == everything["keys"]
    shown = many.run("query", "orders", *DAY, "--top", "3", "--by", "per_order")
    assert f"{top['keys']} keys with events; shown are 3, the greatest per_order first" in shown.stdout
    assert f"all {top['keys']} keys" in shown.stdout


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        pytest.param("amount > 300", lambda key, r, n: r["amount"] > 300, id="a measure"),
        pytest.param("per_order > 50 and orders > 2", lambda key, r, n: r["per_order"] > 50 and n > 2, id="derived"),
        pytest.param("shop = 'oak'", lambda key, r, n: key["shop"] == "oak", id="a key"),
        pytest.param("currency <> 'EUR' or events = 1", lambda key, r, n: key["currency"] != "EUR" or n == 1, id="or"),
        pytest.param("middle_p50 < 40.0", lambda key, r, n: r["middle"]["0.5"] < 40, id="a quantile"),
        pytest.param(
            "newest >= TIMESTAMP '2026-01-05T10:00Z'", lambda key, r, n: r["newest"][11:13] >= "10", id="time"
        ),
        pytest.param("orders / 0 > 1", lambda key, r, n: False, id="by zero"),
        pytest.param("1 = 1", lambda key, r, n: True, id="always"),
    ],
)
def test_conditions(many: Any, where: str, fits: Any) -> None:
    everything = asked(many, *DAY)["answers"]
    wanted = [each for each in everything if fits(each["key"], each["results"], each["events"])]
    found = asked(many, *DAY, "--where", where)
    assert found["answers"] == wanted
    assert found["keys"] == len(wanted)
    if wanted:
        assert found["total"]["events"] == sum(each["events"] for each in wanted)
    else:
        assert found["total"] is None
    assert found["certificate"]["events"] == sum(each["events"] for each in everything)
    lines = many.run("export", "orders", "--step", "1d", "--where", where).stdout.splitlines()
    assert [json.loads(line)["key"] for line in lines] == [each["key"] for each in wanted]


def test_a_condition_chooses_steps_of_a_series(many: Any) -> None:
    key = json.dumps(asked(many, *DAY, "--top", "1")["answers"][0]["key"])
    points = asked(many, "--key", key, *DAY, "--series", "--where", "orders > 0")["points"]
    assert points == [p for p in asked(many, "--key", key, *DAY, "--series")["points"] if p["results"]["orders"]]


def test_times_are_shown_in_the_zone(many: Any) -> None:
    plain, tokyo = (
        asked(many, *HOURS),
        asked(many, "--from", "2026-01-05T17:00", "--to", "2026-01-05T19:00", "--zone", "Asia/Tokyo"),
    )
    assert (tokyo["start"], tokyo["end"]) == ("2026-01-05T17:00:00+09:00", "2026-01-05T19:00:00+09:00")
    assert tokyo["certificate"]["watermark"] == "2026-01-05T19:00:00+09:00"
    for here, there in zip(plain["answers"], tokyo["answers"], strict=True):
        assert there["results"]["newest"].endswith("+09:00")
        times = [datetime.fromisoformat(each["results"].pop("newest")) for each in (here, there)]
        assert times[0] == times[1]
        assert here == there
    shown = many.run("query", "orders", *DAY, "--zone", "Europe/Berlin").stdout
    assert "2026-01-05T00:00:00+01:00 to 2026-01-06T00:00:00+01:00" in shown


def test_nothing_known_is_an_answer(many: Any) -> None:
    found = asked(many, "--window", "day", "--at", "2030-01-01")
    assert (found["keys"], found["answers"], found["total"]) == (0, [], None)
    assert "0 keys with events" in many.run("query", "orders", "--window", "day", "--at", "2030-01-01").stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(("--top", "3", "--bottom", "3"), "--top and --bottom exclude each other", id="both"),
        pytest.param(("--top", "0"), "Invalid value for '--top': Input should be greater", id="none"),
        pytest.param(("--by", "amuont"), "--by amuont: did you mean 'amount'?", id="by"),
        pytest.param(("--by", "shops"), "--by shops: allowed: orders, amount", id="by a list"),
        pytest.param(("--where", "amuont > 1"), "--where: unknown column 'amuont'; did you mean 'amount'?", id="where"),
        pytest.param(("--where", "amount"), "--where: the expression is double; it must be boolean", id="no condition"),
        pytest.param(("--where", "(" * 200), "--where: nested too deeply", id="deep"),
        pytest.param(("--sessions",), "orders declares no session window", id="sessions"),
        pytest.param(("--key", "oak,EUR", "--top", "1"), "--top is a question over all keys", id="key and top"),
        pytest.param(("--key", "oak,EUR", "--where", "1 = 1"), "--where chooses among answers", id="key and where"),
    ],
)
def test_mistakes(many: Any, flags: tuple[str, ...], message: str) -> None:
    shown = many.run("query", "orders", *DAY, *flags)
    assert (shown.exit_code, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert message in shown.stderr


def lines(many: Any, *flags: str) -> list[Any]:
    shown = many.run("export", "orders", *flags)
    assert shown.exit_code == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columnar_exports_hold_the_same(many: Any, form: str, tmp_path: Path) -> None:
    rows, path = lines(many, "--zone", "Europe/Berlin"), tmp_path / "out"
    assert (
        many.run("export", "orders", "--format", form, "--output", str(path), "--zone", "Europe/Berlin").exit_code == 0
    )
    table = parquet.read_table(path) if form == "parquet" else pa.ipc.open_stream(path.read_bytes()).read_all()
    assert table.num_rows == len(rows)
    assert table.schema.field("start").type == pa.timestamp("us", "Europe/Berlin")
    names = [*many.compiled.definition.measures, *many.compiled.definition.derive_results]
    assert table.column_names == ["shop", "currency", "start", "end", "events", "batch_events", *names]
    for found, row in zip(table.to_pylist(), rows, strict=True):
        assert {"shop": found["shop"], "currency": found["currency"]} == row["key"]
        assert found["start"] == datetime.fromisoformat(row["start"])
        assert found["newest"] == datetime.fromisoformat(row["results"]["newest"])
        assert {n: found[n] for n in names if n != "newest"} == {
            n: v for n, v in row["results"].items() if n != "newest"
        }
    assert not list(tmp_path.glob("*.part"))


def test_a_span_and_a_key_of_an_export(many: Any) -> None:
    everything = lines(many)
    inside = [row for row in everything if "T08" <= row["start"][10:13] <= "T09"]
    assert lines(many, *HOURS) == inside
    key = everything[0]["key"]
    assert lines(many, "--key", json.dumps(key), *HOURS) == [row for row in inside if row["key"] == key]
    days = lines(many, "--step", "1d", *HOURS)
    assert {(row["start"], row["end"]) for row in days} == {("2026-01-05T08:00:00Z", "2026-01-05T10:00:00Z")}
    assert sum(row["events"] for row in days) == sum(row["events"] for row in inside)
    assert set(lines(many, "--measures", "per_order,orders")[0]["results"]) == {"per_order", "orders"}


def test_csv_is_no_formula(many: Any) -> None:
    without_formula = list(csv.DictReader(io.StringIO(many.run("export", "orders", "--format", "csv").stdout)))
    raw = list(csv.DictReader(io.StringIO(many.run("export", "orders", "--format", "csv", "--raw").stdout)))
    assert {row["shop"] for row in raw} == set(SHOPS)
    assert {row["shop"] for row in without_formula} == {"'=elm", "'-5", *(s for s in SHOPS if s[:1] not in ("=", "-"))}
    numbers = [float(row["above"]) for row in without_formula if row["above"]]
    assert min(numbers) < 0, "numbers stay numbers"
    for one, other in zip(without_formula, raw, strict=True):
        assert {n: v for n, v in one.items() if n != "shop"} == {n: v for n, v in other.items() if n != "shop"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("=1", "'=1", id="at the start"),
        pytest.param("a;=1", "a;'=1", id="behind a semicolon"),
        pytest.param('a;"=1', "a;\"'=1", id="behind a quote"),
        pytest.param("a\t+1;-2", "a\t'+1;'-2", id="behind a tab, and again"),
        pytest.param("a\r\n@x", "a\r\n'@x", id="in a new line"),
        pytest.param("a; b = 1-2", "a; b = 1-2", id="none"),
        pytest.param("5;'=1", "5;'=1", id="a text already"),
        pytest.param(-1, -1, id="a number"),
    ],
)
def test_a_text_is_no_formula_wherever_rows_are_cut(text: object, shown: object) -> None:
    """Spreadsheets of many countries cut at semicolons, also in what commas and quotes enclose."""
    assert without_formula(text) == shown


def test_a_sum_beyond_64_bits_is_told(tmp_path: Path) -> None:
    schema = (
        "{type: record, name: E, fields: [{name: id, type: string}, {name: n, type: long}, "
        "{name: at, type: {type: long, logicalType: timestamp-micros}}]}"
    )
    source = f"source: {{schema: {schema}, format: json, event_id: id, event_time: at}}"
    (tmp_path / "d.yaml").write_text(f"name: big\n{source}\nkey: []\ntile: 1h\nmeasures: {{n: {{sum: n}}}}\n")
    at = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1e6)
    events = [json.dumps({"id": str(i), "n": 2**62, "at": at}) for i in range(3)]
    (tmp_path / "e.jsonl").write_text("\n".join(events) + "\n")
    home = ("--home", str(tmp_path / "home"))
    run = CliRunner().invoke
    made = run(app, ["backfill", "--definition", str(tmp_path / "d.yaml"), "--files", str(tmp_path / "e.jsonl"), *home])
    assert made.exit_code == 0, made.stderr
    refused = run(app, ["export", "big", "--format", "parquet", "--output", str(tmp_path / "o"), *home])
    assert (refused.exit_code, (tmp_path / "o").exists()) == (2, False)
    assert f"n of [] at 2026-01-05T00:00:00Z is {3 * 2**62}: that doesn't fit int64" in refused.stderr
    assert json.loads(run(app, ["export", "big", *home]).stdout)["results"] == {"n": 3 * 2**62}
