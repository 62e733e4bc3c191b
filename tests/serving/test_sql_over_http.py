"""SQL over HTTP: rows in every form, of what the caller may see, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples.orders_home import Installation
from servers.web import Web

SQL = "/api/v1/sql"


def ask(web: Web, sql: str, **more: Any) -> Any:
    return web.send("POST", SQL, json={"sql": sql, **more})


@pytest.fixture(scope="module")
def keyed(read_only: tuple[Web, Installation]) -> Iterator[Web]:
    with Web.over(read_only[1].home, keys=True) as made:
        yield made


def test_rows_in_every_form(asked: Web) -> None:
    sql = "select shop, sum(orders)::bigint n, max(start) last from orders group by 1 order by 1"
    found = ask(asked, sql).json()
    assert [column["name"] for column in found["columns"]] == ["shop", "n", "last"]
    assert found["rows"] == [["mill", 4, "2026-01-05T09:00:00Z"], ["oak", 1, "2026-01-05T08:00:00Z"]]
    assert ask(asked, sql, format="csv").text.splitlines()[1] == "mill,4,2026-01-05T09:00:00Z"
    arrow = pa.ipc.open_stream(ask(asked, sql, format="arrow").content).read_all()
    parquet = pq.read_table(io.BytesIO(ask(asked, sql, format="parquet").content))
    assert arrow.column("n").to_pylist() == parquet.column("n").to_pylist() == [4, 1]


def test_rows_that_are_left_out_are_told(asked: Web) -> None:
    found = ask(asked, "select * from range(100)", limit=3)
    assert (len(found.json()["rows"]), found.json()["whole"], found.headers["tandem-whole"]) == (3, False, "false")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        pytest.param("select distinct shop from orders", [["mill"]], id="answers"),
        pytest.param("select count(*) from answers('orders', 'day')", [[1]], id="windows"),
        pytest.param("select count(*) from events('orders') where shop = 'oak'", [[0]], id="events"),
        pytest.param(
            "select (select count(*) from generations) + (select count(*) from late)", [[0]], id="of all keys"
        ),
        pytest.param("select count(*) from dead_letters", [[0]], id="dead letters"),
        pytest.param("select max(batch_events) from orders where shop <> 'mill'", [[None]], id="other keys"),
    ],
)
def test_who_sees_some_keys_only_gets_rows_of_these(keyed: Web, sql: str, rows: list[Any]) -> None:
    assert ask(keyed.known_as(rows=("orders=mill",)), sql).json()["rows"] == rows


def test_a_definition_that_is_not_for_the_caller_is_not_there(keyed: Web) -> None:
    nothing = keyed.known_as(definitions=frozenset({"clicks"}))
    refused = ask(nothing, "select * from orders")
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/bad-question")
    unknown = ask(nothing, "select * from answers('orders')").json()["detail"]
    assert unknown == ask(nothing, "select * from answers('nobody')").json()["detail"].replace("nobody", "orders")
    assert ask(nothing, "select count(*) from publications").json()["rows"] == [[0]]
    assert ask(keyed, "select 1").status_code == 401


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "attach '/tmp/x.db'; select 1",
        "copy (select 1) to '/tmp/x'",
        "install httpfs",
        "set enable_external_access = true",
        "select length(repeat('x', 1000000000))",
        "select len(range(1000000000))",
    ],
)
def test_nothing_else_is_reached_and_the_server_stands(asked: Web, sql: str) -> None:
    refused = ask(asked, sql)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/bad-question")
    assert "root:" not in refused.text
    assert ask(asked, "select 1 as one").json()["rows"] == [[1]]


def test_a_page_of_another_site_cannot_ask(asked: Web) -> None:
    sent = asked.send("POST", SQL, json={"sql": "select 1"}, headers={"origin": "https://elsewhere.example"})
    assert sent.status_code == 403
