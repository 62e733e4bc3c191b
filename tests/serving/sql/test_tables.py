"""Tables: answers as `export` has them, events with copies marked, one instant, and no more than is seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples.alerted_home import alerted_home
from samples.asked_home import sales_home
from samples.orders_home import Installation, Order, serve_orders

from tandem.schemas.errors import SourceFileError, UserError
from tandem.serving.questions.exports.rows import exported
from tandem.serving.sql.asking import SqlLimits, ask_sql
from tandem.serving.sql.source import SqlSource, all_visible
from tandem.views.store import ViewStore

LIMITS = SqlLimits(seconds=60)
Asks = Callable[[str], list[dict[str, Any]]]


def source_of(store: ViewStore, home: Path, *names: str) -> SqlSource:
    return SqlSource(store, f"{home}/journal", f"{home}/deadletters", names, all_visible)


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlSource]:
    home = sales_home(tmp_path_factory.mktemp("sales"))
    store = ViewStore(str(home / "views.db"), create=False)
    yield source_of(store, home, "sales")
    store.close()


@pytest.fixture
def ask(sales: SqlSource) -> Asks:
    return lambda sql: ask_sql(sales, sql, LIMITS).table.to_pylist()


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    serve_orders(made)
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        pytest.param("select shop, n, amount from sales order by all", [
            ('quote "and', 1, 16.0), ("x", 1, 8.0), ("x", 2, 4.0), ("y", 1, 4.0)], id="by tile"),
        pytest.param("select shop, n from answers('sales', 'day') order by shop, start", [
            ('quote "and', 1), ("x", 3), ("y", 1)], id="calendar"),
        pytest.param("select shop, hour(start), n from answers('sales', 'day', 'Asia/Tokyo') order by all", [
            ('quote "and', 15, 1), ("x", 15, 3), ("y", 15, 1)], id="of a zone"),
        pytest.param("select shop, n from answers('sales', 'shift') where shop = 'x'", [("x", 3)], id="named window"),
        pytest.param("select shop, n from answers('sales', '2m') where start < '1970-01-01 00:02' order by all", [
            ("x", 2), ("y", 1)], id="duration"),
        pytest.param("select shop, n, events from answers('sales', 'visits') where shop = 'x' order by start", [
            ("x", 2, 2), ("x", 1, 1)], id="sessions"),
        pytest.param("select n from sales where shop = 'quote \"and'", [(1,)], id="a text with quotes"),
        pytest.param("select n from sales where shop = 'x' and start = '1970-01-01 01:00'", [(1,)], id="an instant"),
        pytest.param("select n from answers('sales', 'day') where \"end\" <= '1970-01-02' and shop = 'y'", [(1,)],
                     id="end"),
        pytest.param("select n from answers('sales', 'month') where start > '1970-01-01' and shop = 'y'", [],
                     id="after"),
        pytest.param("select count(*) from sales where start > '9999-12-31' or start < '0001-01-01'", [(0,)],
                     id="never"),
        pytest.param("select count(*) from answers('sales', 'year') where start < '9999-12-31'", [(3,)], id="far"),
        pytest.param("select sum(a.n) from sales a join answers('sales', 'day') d using (shop)", [(5,)], id="joined"),
        pytest.param("select best[1].value from sales where shop = 'y'", [("y",)], id="a list"),
    ],
)  # fmt: skip
def test_answers(ask: Asks, sql: str, rows: list[tuple[Any, ...]]) -> None:
    assert [tuple(row.values()) for row in ask(sql)] == rows


def test_events_have_their_place_and_copies_are_marked(ask: Asks) -> None:
    found = ask("select event_id, copy, fate, generation from events('sales') order by generation, position, row")
    assert [tuple(row.values()) for row in found] == [
        ("a", False, "batch", -1),
        ("b", False, "batch", -1),
        ("c", False, "batch", -1),
        ("a", True, "batch", -1),
        ("d", False, "batch", -1),
        ("e", False, "batch", -1),
        ("b", True, "waiting", 1),
        ("f", False, "waiting", 1),
    ]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        pytest.param("shop = 'y'", ["c", "f"], id="key"),
        pytest.param("event_time >= '1970-01-01 02:00'", ["e", "f"], id="from"),
        pytest.param("event_time < '1970-01-01 00:01'", ["a", "a", "b", "b"], id="to"),
        pytest.param("published is not null", ["b", "f"], id="messages"),
    ],
)
def test_events_within_bounds(ask: Asks, where: str, ids: list[str]) -> None:
    assert [row["event_id"] for row in ask(f"select event_id from events('sales') where {where} order by 1")] == ids


def test_counts_of_events_without_copies_are_those_of_answers(ask: Asks) -> None:
    sums = (
        "select shop, count(*) n, sum(amount) amount from events('sales') where not copy and fate = 'batch' group by 1"
    )
    assert ask(f"{sums} order by 1") == ask(
        "select shop, sum(n)::bigint n, sum(amount) amount from sales group by 1 order by 1"
    )


def test_a_file_that_has_changed_is_named(sales: SqlSource, tmp_path: Path) -> None:
    home = sales_home(tmp_path)
    with (tmp_path / "sales.jsonl").open("a") as file:
        file.write("{}\n")
    store = ViewStore(str(home / "views.db"), create=False)
    with pytest.raises(SourceFileError, match=r"sales.jsonl isn't any more what batch read"):
        ask_sql(source_of(store, home, "sales"), "select count(*) from events('sales')", LIMITS)
    store.close()


def test_keys_and_times_are_pushed_down(sales: SqlSource, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    real = exported

    def noted(store: ViewStore, export: Any) -> Any:
        read.append((export.key, export.span))
        return real(store, export)

    monkeypatch.setattr("tandem.serving.sql.answer_table.exported", noted)
    minute = 60_000_000
    for sql in (
        "select n from sales where shop = 'x' and start >= '1970-01-01 00:05' and start < '1970-01-01 00:10'",
        "select n from answers('sales', '1h') where start between '1970-01-01 00:05' and '1970-01-01 00:10'",
        "with q as (select * from sales) select count(*) from q where shop = 'y'",
        "select n from sales where start >= '1970-01-02' and start < '1970-01-01'",
    ):
        ask_sql(sales, sql, LIMITS)
    assert read == [
        ('["x"]', (5 * minute, 11 * minute)),
        (None, (0, 60 * minute)),
        ('["y"]', None),
    ]


def test_a_statement_is_of_one_instant(orders: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written while its tables are read: the second doesn't know more than the first."""
    real, written = exported, list[str]()

    def writing(store: ViewStore, export: Any) -> Any:
        if not written:
            written.append("once")
            orders.batch("b-2", 2, [Order(8.5, 8.0, generation=2)], parent="b-1", built_for="000001-aa")
            orders.store.publishing.publish("orders", orders.version, "b-2", "000001-aa")
        return real(store, export)

    monkeypatch.setattr("tandem.serving.sql.answer_table.exported", writing)
    source = source_of(orders.store, orders.home, "orders")
    sql = (
        "select (select sum(batch_events) from orders), (select sum(batch_events) from answers('orders', 'day')),"
        " (select max(publication) from publications)"
    )
    (before,) = ask_sql(source, sql, LIMITS).table.to_pylist()
    (after,) = ask_sql(source, sql, LIMITS).table.to_pylist()
    assert written
    assert tuple(map(int, before.values())) == (3, 3, 1)
    assert tuple(map(int, after.values())) == (4, 4, 2)


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        pytest.param("select * from generations where served_by = 'live'", 3, id="generations"),
        pytest.param("select * from publications", 1, id="publications"),
        pytest.param("select * from late", 1, id="late"),
        pytest.param("select * from late where tile > '2026-01-05 09:00'", 0, id="late within bounds"),
        pytest.param("select * from late where definition = 'clicks'", 0, id="late of another definition"),
        pytest.param("select * from drift", 0, id="drift"),
        pytest.param("select * from results", 0, id="results"),
        pytest.param("select * from dead_letters", 0, id="dead letters"),
    ],
)
def test_tables_of_the_installation(orders: Installation, sql: str, count: int) -> None:
    late = orders.Segment("000001-aa/0000", 4, 4, received=1, routed=0, late=[(orders.day + 8 * orders.hour, 1)])
    orders.store.live.write_segments(orders.version, "000001-aa", [late])
    assert ask_sql(source_of(orders.store, orders.home, "orders"), sql, LIMITS).table.num_rows == count


def test_who_sees_some_keys_only_has_their_rows_only(orders: Installation) -> None:
    source = source_of(orders.store, orders.home, "orders")
    mill = replace(source, visible=lambda name: lambda key: json.loads(key)[0] == "mill")
    for table in ("orders", "answers('orders', 'day')"):
        rows = ask_sql(mill, f"select distinct shop from {table}", LIMITS).table.to_pylist()
        assert rows == [{"shop": "mill"}], table
    for table in ("late", "generations", "publications", "drift", "dead_letters"):
        assert ask_sql(mill, f"select * from {table}", LIMITS).table.num_rows == 0, table
    with pytest.raises(UserError, match="no definition 'clicks'"):
        ask_sql(mill, "select * from answers('clicks')", LIMITS)


@pytest.mark.parametrize(
    ("sql", "limits", "told"),
    [
        pytest.param(
            "select count(*) from range(100000000000000)", SqlLimits(seconds=0.2), "no answer within", id="time"
        ),
        pytest.param("select 1", SqlLimits(length=5), "at most 5", id="length"),
        pytest.param("select '\ud800'", LIMITS, "surrogate", id="half a character"),
        pytest.param(
            "select list(a) from range(50000000) t(a)", SqlLimits(memory=64 << 20), "more than 64 MiB", id="memory"
        ),
        pytest.param("select nothing from sales", LIMITS, '"nothing" not found', id="column"),
        pytest.param("select * from sale", LIMITS, "sale does not exist", id="table"),
        pytest.param("select * from answers('sales', '7s')", LIMITS, "isn't a multiple of the tile", id="window"),
        pytest.param("select * from answers('sales', 'day', 'Mars/North')", LIMITS, "Mars/North", id="zone"),
        pytest.param("select 1 // 0 + 'x'::int", LIMITS, "SQL: ", id="values"),
    ],
)
def test_what_cannot_be_asked_is_one_line(sales: SqlSource, sql: str, limits: SqlLimits, told: str) -> None:
    with pytest.raises(UserError) as error:
        ask_sql(sales, sql, limits)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_more_rows_than_allowed_are_left_out_and_told(sales: SqlSource) -> None:
    found = ask_sql(sales, "select * from range(50000)", SqlLimits(rows=20_000))
    assert (found.table.num_rows, found.whole) == (20_000, False)
    assert ask_sql(sales, "select * from range(20000)", SqlLimits(rows=20_000)).whole


def test_alerts_are_a_table(tmp_path: Path) -> None:
    story = alerted_home(tmp_path / "home")
    source = source_of(story.store, tmp_path / "home", "visits")
    sql = "select key, state, status, minute(since) begun, resolved is null goes_on from alerts order by since"
    assert ask_sql(source, sql, LIMITS).table.to_pylist() == [
        {"key": '["ann"]', "state": "CONFIRMED", "status": "resolved", "begun": 0, "goes_on": False},
        {"key": '["bob"]', "state": "TENTATIVE", "status": "firing", "begun": 2, "goes_on": True},
    ]
    mine = replace(source, visible=lambda name: lambda key: key == '["bob"]')
    assert ask_sql(mine, "select key from alerts", LIMITS).table.to_pylist() == [{"key": '["bob"]'}]
    since = "select count(*) n from alerts where since >= '2026-01-05 08:02' and rule = 'busy'"
    assert ask_sql(source, since, LIMITS).table.to_pylist() == [{"n": 1}]
    story.deliverer.close()
    story.store.close()
