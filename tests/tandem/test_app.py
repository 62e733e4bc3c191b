"""The command line as a whole: help, errors, exit codes, and what it costs to start."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.pipelines.launchables import LAUNCHABLES
from tandem.runners.options.reading import Arguments, read_arguments
from tandem.schemas.errors import FencedError, StoreError, TandemError, WriterAliveError
from tandem.serving.questions.answers.shown_times import ago_text

ROOT = Path(__file__).parents[2]
HEAVY = (
    "apache_beam",
    "google.cloud.pubsub_v1",
    "grpc",
    "numpy",
    "polars",
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "sqlglot",
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, tandem.app; print([m for m in sys.argv[1:] if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout == "[]\n"


def test_no_command_shows_the_help() -> None:
    shown = run()
    assert shown.exit_code == 0
    assert {"query", "backfill", "roll-back"} <= set(shown.stdout.split())


def test_version() -> None:
    shown = run("--version")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("tandem 0.1.0 (Apache Beam 2.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--wat",), "No such option: --wat; see `tandem --help`", id="flag"),
        pytest.param(
            ("querry",),
            "No such command 'querry'. Did you mean 'query', 'bigquery'?; see `tandem --help`",
            id="command",
        ),
        pytest.param(("query",), "Missing argument 'DEFINITION'; see `tandem query --help`", id="argument"),
        pytest.param(("check",), "Missing argument 'FILE...'; see `tandem check --help`", id="no-files"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    shown = run(*arguments)
    assert (shown.exit_code, shown.stderr, shown.stdout) == (2, f"error: {message}\n", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(TandemError("it broke"), 1, id="plain"),
        pytest.param(StoreError("[bold]it[/] broke"), 1, id="store"),
        pytest.param(WriterAliveError("run 1 is alive"), 2, id="writer-alive"),
        pytest.param(FencedError("another reader\nhas the lane"), 75, id="fenced"),
        pytest.param(KeyboardInterrupt(), 130, id="interrupted"),
    ],
)
def test_errors_end_with_one_line_and_their_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("tandem.schemas.definition.loading.load", fail)
    shown = run("check", "any.yaml")
    text = f"error: {' '.join(str(error).split())}\n" if isinstance(error, TandemError) else ""
    assert (shown.exit_code, shown.stderr) == (code, text)


@pytest.mark.parametrize("command", ["live", "backfill", "publish"])
def test_pipelines_get_all_their_flags(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Arguments] = []
    pipeline = replace(LAUNCHABLES[command], run=seen.append)
    monkeypatch.setattr(f"tandem.pipelines.{command}.{command.upper()}", pipeline)
    given = ["--definition", "a.yaml", "--runner=DirectRunner", "--project", "some"]
    ended = run(command, *given)
    assert ended.exit_code == 0, ended.output
    assert [(read.command.name, read["definition"], read.beam) for read in seen] == [
        (command, "a.yaml" if command == "publish" else ["a.yaml"], tuple(given[2:]))
    ]


def test_help_of_pipelines_needs_nothing_of_them() -> None:
    code = "import sys\nfrom tandem.app import app\nfrom typer.testing import CliRunner\n"
    code += "for name in ('live', 'backfill', 'publish', 'windowed'):\n"
    code += "    shown = CliRunner().invoke(app, [name, '--definition', 'x', '--help']).stdout\n"
    code += "    assert f'Usage: tandem {name} [OPTIONS]' in shown and 'Example: tandem ' in shown, shown\n"
    code += "print([m for m in sys.argv[1:] if m in sys.modules and m != 'pydantic'])"  # Typer's own
    found = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.stdout == "[]\n", found.stderr


def test_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TANDEM_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    store = read_arguments("backfill", []).home.store.removeprefix("sqlite:///")
    assert store == f"{tmp_path}/tandem-data/views.db"
    shown = run("status", "orders")
    assert shown.stderr.startswith(f"error: no view store at {store}: ")


def test_registered_text_can_be_read_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tandem.runners.options.definitions import definition_text
    from tandem.schemas.definition.loading import load, loads

    path = ROOT / "examples/clicks/clicks.yaml"
    text = definition_text(str(path))
    monkeypatch.chdir(tmp_path)
    assert loads(text) == load(path)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        pytest.param(-5, "0s", id="clock-went-back"),
        pytest.param(47_900_000, "47s", id="seconds"),
        pytest.param(192_000_000, "3m12s", id="minutes"),
        pytest.param(18_420_000_000, "5h07m", id="hours"),
        pytest.param(273_600_000_000, "3d04h", id="days"),
    ],
)
def test_durations_for_people(duration: int, text: str) -> None:
    assert ago_text(duration) == text
