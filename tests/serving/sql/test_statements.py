"""What may be asked: one SELECT over tables of ours, and nothing that reaches out of the process."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tandem.schemas.errors import UserError
from tandem.serving.sql.sandbox import sandbox
from tandem.serving.sql.statements import Asked, parsed

ONE = "one SELECT"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with sandbox(256 << 20, 1) as made:
        yield made


@pytest.mark.parametrize(
    ("sql", "asked", "rewritten"),
    [
        pytest.param("select * from answers('c')", Asked("answers", "c"), 'FROM "answers(c)" AS answers', id="tiles"),
        pytest.param("from answers('c', '1h') a", Asked("answers", "c", "1h"), '"answers(c, 1h)" AS a', id="alias"),
        pytest.param(
            "select x from ANSWERS('c', 'day', zone := 'Europe/Berlin') t(x)",
            Asked("answers", "c", "day", "Europe/Berlin"),
            'FROM "answers(c, day, Europe/Berlin)" AS t(x)',
            id="zone, and names of columns",
        ),
        pytest.param(
            "with q as (select * from events('c')) select (select count(*) from q)",
            Asked("events", "c"), '"events(c)"', id="within",
        ),
    ],
)  # fmt: skip
def test_functions_become_tables(connection: duckdb.DuckDBPyConnection, sql: str, asked: Asked, rewritten: str) -> None:
    found = parsed(connection, sql)
    assert found.asked == (asked,)
    assert rewritten in found.sql


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        pytest.param("", ONE, id="nothing"),
        pytest.param("selec 1", "syntax error", id="typing error"),
        pytest.param("select 1; select 2", "2 statements", id="two"),
        pytest.param("select 1; drop table clicks", ONE, id="one and a drop"),
        pytest.param("create table t(a int)", ONE, id="create"),
        pytest.param("insert into clicks values (1)", ONE, id="insert"),
        pytest.param("with t as (insert into c values (1) returning *) select * from t", ONE, id="insert within"),
        pytest.param("attach '/tmp/x.db'", ONE, id="attach"),
        pytest.param("install httpfs", ONE, id="install"),
        pytest.param("load httpfs", ONE, id="load"),
        pytest.param("copy (select 1) to '/tmp/x'", ONE, id="copy out"),
        pytest.param("copy t from '/etc/passwd'", ONE, id="copy in"),
        pytest.param("export database '/tmp/x'", ONE, id="export"),
        pytest.param("import database '/tmp/x'", ONE, id="import"),
        pytest.param("set enable_external_access = true", ONE, id="set"),
        pytest.param("reset lock_configuration", ONE, id="reset"),
        pytest.param("pragma database_list", ONE, id="pragma"),
        pytest.param("call pragma_version()", ONE, id="call"),
        pytest.param("create secret s (type s3)", ONE, id="secret"),
        pytest.param("create macro m() as table select 1", ONE, id="macro"),
        pytest.param("prepare p as select 1", ONE, id="prepare"),
        pytest.param("explain select 1", ONE, id="explain"),
        pytest.param("begin", ONE, id="transaction"),
        pytest.param("select * from read_csv('/etc/passwd')", "read_csv()", id="csv"),
        pytest.param("select * from read_text('/etc/passwd')", "read_text()", id="text"),
        pytest.param("select * from main.read_blob('/proc/self/environ')", "read_blob()", id="blob"),
        pytest.param("select * from system.main.parquet_scan('x')", "parquet_scan()", id="with a catalog"),
        pytest.param("select (select count(*) from glob('*'))", "glob()", id="glob within"),
        pytest.param("select * from sniff_csv('/etc/passwd')", "sniff_csv()", id="sniff"),
        pytest.param("select * from query('select 1')", "query()", id="SQL in a text"),
        pytest.param("select * from query_table('c')", "query_table()", id="table by a text"),
        pytest.param("select * from json_execute_serialized_sql('{}')", "json_execute", id="a tree in a text"),
        pytest.param("select * from duckdb_settings()", "duckdb_settings()", id="settings"),
        pytest.param("select * from duckdb_secrets()", "duckdb_secrets()", id="secrets"),
        pytest.param("select * from python_map_function((select 1), 1)", "python_map_function()", id="Python"),
        pytest.param("select * from pandas_scan(1)", "pandas_scan()", id="a pointer"),
        pytest.param("select * from arrow_scan(1, 2, 3)", "arrow_scan()", id="pointers"),
        pytest.param("select current_setting('home_directory')", "isn't there", id="a setting"),
        pytest.param("select * from pg_settings", "isn't one of an installation", id="settings by another name"),
        pytest.param("select * from pg_catalog.pg_settings", "isn't one of", id="and schema"),
        pytest.param("select * from system.information_schema.tables", "isn't one of", id="another catalog"),
        pytest.param("select * from answers()", "of which definition", id="of what"),
        pytest.param("select * from answers('c' || 'd')", "each of them a text", id="computed"),
        pytest.param("select * from answers(c)", "each of them a text", id="a column"),
        pytest.param("select * from answers('c', '1h', 'UTC', 'monday', 'more')", "each of them a text", id="too many"),
        pytest.param("select * from answers('c', hours := '1h')", "each of them a text", id="unknown parameter"),
        pytest.param("select " + "(" * 5_000 + "1" + ")" * 5_000, "", id="deep"),
        pytest.param("select 'a", "unterminated", id="open text"),
    ],
)  # fmt: skip
def test_what_is_refused(connection: duckdb.DuckDBPyConnection, sql: str, told: str) -> None:
    with pytest.raises(UserError, match=r"^SQL: ") as error:
        parsed(connection, sql)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from glob('/etc/*')",
        "attach '/tmp/tandem-attack.db'",
        "install httpfs",
        "load httpfs",
        "copy (select 1) to '/tmp/tandem-attack'",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "set allowed_directories = ['/']",
        "select * from duckdb_secrets()",
    ],
)
def test_the_sandbox_refuses_by_itself(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Also what no statement that is let in would say."""
    with pytest.raises(duckdb.Error):
        connection.execute(sql).fetchall()
