"""`tandem sql`: one statement in every form, and the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples.orders_home import Installation

from tandem.output.sql_shell import completions, run_shell, statements
from tandem.serving.sql.asking import SqlLimits
from tandem.serving.sql.source import SqlSource, all_visible

COUNT = "select shop, sum(orders)::bigint n from orders group by 1 order by 1"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        pytest.param("table", ["shop", "n", "mill", "4", "oak", "1", "2 rows"], id="table"),
        pytest.param("json", ['{"shop": "mill", "n": 4}', '{"shop": "oak", "n": 1}'], id="json"),
        pytest.param("csv", ["shop,n", "mill,4", "oak,1"], id="csv"),
    ],
)
def test_forms(served: Installation, form: str, shown: list[str]) -> None:
    result = served.run("sql", COUNT, "--format", form)
    assert result.exit_code == 0, result.output
    assert all(each in result.stdout for each in shown), result.stdout


def test_nothing_is_an_empty_array(served: Installation) -> None:
    assert json.loads(served.run("sql", "select 1 where false", "--format", "json").stdout) == []


def test_files(served: Installation, tmp_path: Path) -> None:
    file = tmp_path / "out.parquet"
    assert served.run("sql", COUNT, "--format", "parquet", "-o", str(file)).exit_code == 0
    assert pq.read_table(file).to_pylist() == [{"shop": "mill", "n": 4}, {"shop": "oak", "n": 1}]


def test_texts_cannot_steer_a_terminal_or_a_spreadsheet(served: Installation) -> None:
    assert "\x1b" not in served.run("sql", "select chr(27) || '[31m' as a").stdout
    assert served.run("sql", "select '=1+1' as a", "--format", "csv").stdout.splitlines()[1] == "'=1+1"


def test_rows_beyond_the_limit_are_told(served: Installation) -> None:
    result = served.run("sql", "select * from range(9)", "--limit", "3")
    assert "3 rows" in result.stdout
    assert "the first 3 rows" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["select x from orders"], "not found", id="column"),
        pytest.param(["drop table orders"], "one SELECT", id="not a question"),
        pytest.param([COUNT, "--format", "xml"], "xml", id="form"),
        pytest.param([COUNT, "--time-limit", "soon"], "--time-limit", id="time"),
        pytest.param([COUNT, "-o", "x.csv"], "--output goes with", id="a table into a file"),
    ],
)
def test_errors_are_one_line(served: Installation, arguments: list[str], told: str) -> None:
    result = served.run("sql", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def typed(*lines: str) -> Callable[[str], str]:
    """What somebody writes; at the end Ctrl-D. `^C` is Ctrl-C."""
    left = iter(lines)

    def read(prompt: str) -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        if line == "^C":
            raise KeyboardInterrupt
        return line

    return read


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        pytest.param(["select 1;"], ["select 1"], id="one"),
        pytest.param(["select", "", "1", ";"], ["select\n1\n"], id="over lines"),
        pytest.param(["select 1;", ".quit", "select 2;"], ["select 1"], id="quit"),
        pytest.param(["select", "^C", "select 2;"], ["select 2"], id="taken back"),
        pytest.param(["select 1"], [], id="never ended"),
        pytest.param([".help", ";"], [".help", ""], id="help"),
    ],
)
def test_statements_of_a_shell(lines: list[str], read: list[str]) -> None:
    assert list(statements(typed(*lines))) == read


def source(made: Installation) -> SqlSource:
    return SqlSource(made.store, f"{made.home}/journal", f"{made.home}/deadletters", ["orders"], all_visible)


def test_the_shell_answers_and_goes_on_after_errors(
    served: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", typed("select nothing;", f"{COUNT};"))
    run_shell(source(served), SqlLimits())
    shown = capsys.readouterr()
    assert "mill" in shown.out
    assert 'column "nothing"' in shown.err


@pytest.mark.parametrize(
    ("begun", "fits"),
    [
        pytest.param("ord", {"orders"}, id="table"),
        pytest.param("sel", {"SELECT"}, id="keyword"),
        pytest.param("curr", {"currency"}, id="column"),
        pytest.param("answ", {"answers('orders'"}, id="function"),
        pytest.param("", set(), id="nothing"),
    ],
)
def test_completion(served: Installation, begun: str, fits: set[str]) -> None:
    found = set(completions(source(served), SqlLimits())(begun))
    assert fits <= found
    assert found if begun else not found
