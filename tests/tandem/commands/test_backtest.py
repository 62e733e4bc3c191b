"""`tandem backtest` as users call it: what it judged, what would have alerted, and what is wrong with what is asked."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.commands.running.backtest import backtest
from tandem.pipelines.backtest.job import parse
from tandem.runners.options.flags.table import flags_of
from tandem.runners.options.reading import read_arguments
from tandem.runners.options.words import words_of
from tandem.schemas.errors import UserError

ROOT = Path(__file__).parents[3]
CLICKS = str(ROOT / "examples/clicks/clicks.yaml")
RULES = """
rules:
  busy: {window: 1h, expr: clicks > params.least, params: {least: 2}}
  dear: {window: 1h, expr: amount > 100}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pages of which one has three clicks in its second hour."""
    lines = [
        {"event_id": f"{page}{hour}{n}", "event_time": f"2026-01-05T0{hour}:0{n}:00Z", "user_id": n, "page": page,
         "country": "DE", "amount": 1.0}
        for page, hours in (("home", (1, 3, 1)), ("help", (1, 1, 1)))
        for hour, count in enumerate(hours)
        for n in range(count)
    ]  # fmt: skip
    (tmp_path / "clicks.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def run(folder: Path, *flags: str) -> Result:
    files = [CLICKS, str(folder / "clicks.jsonl"), "--rules", str(folder / "rules.yaml")]
    return CliRunner().invoke(app, ["backtest", *files, *flags])


def alerts(folder: Path, *flags: str) -> dict[str, list[tuple[str, str, str | None]]]:
    """By rule (page, first window, window of recovery)."""
    result = run(folder, "--json", *flags)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    return {
        each["rule"]: [(alert["key"]["page"], alert["since"], alert["resolved"]) for alert in each["alerts"]]
        for each in found
    }


def test_every_alert(folder: Path) -> None:
    until = ("--complete-until", "2026-01-05T03:00:00Z")
    busy = ("home", "2026-01-05T01:00:00Z", "2026-01-05T02:00:00Z")
    assert alerts(folder, *until) == {"busy": [busy], "dear": []}
    assert alerts(folder, "--rule", "busy") == {"busy": [(*busy[:2], None)]}
    assert alerts(folder, "--rule", "busy", "--set", "least=9") == {"busy": []}


def test_what_is_written_to_a_place_is_what_is_printed(folder: Path) -> None:
    place = folder / "found.json"
    printed = run(folder, "--json", "--output", str(place))
    assert json.loads(place.read_text()) == json.loads(printed.stdout)
    missing = run(folder, "--output", str(folder / "no/found.json"))
    assert missing.exit_code == 2
    assert "--output" in missing.output


def test_options_are_those_of_the_table() -> None:
    """Templates and jobs take the table's; what stands alone, and what only a terminal needs, are arguments here.

    The form of logs is a launch's; this command takes it from the environment, as all do.
    """
    declared = (annotated(one).default for one in inspect.signature(backtest).parameters.values())
    options = {text.removeprefix("--") for text in declared if isinstance(text, str)}
    launching = {"accept", "save", "against", "dry-run", "log-format"}
    assert options - {"json"} == {flag.name for flag in flags_of("backtest")} - launching - {"definition", "files"}


def annotated(parameter: inspect.Parameter) -> Any:
    """The option or argument of Typer in a parameter's annotation."""
    return get_args(get_type_hints(backtest, include_extras=True)[parameter.name])[-1]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["a.yaml", "b.jsonl", "c.jsonl", "--rule", "busy"], id="one after the other"),
        pytest.param(["--definition", "a.yaml", "--files=b.jsonl", "--files=c.jsonl", "--rule=busy"], id="by name"),
        pytest.param(["a.yaml", "--files=b.jsonl", "--files=c.jsonl", "--rule=busy"], id="both"),
    ],
)
def test_a_job_takes_files_as_the_command_does(words: list[str]) -> None:
    read = read_arguments("backtest", words)
    assert (read["definition"], read["files"], read["rule"]) == ("a.yaml", ["b.jsonl", "c.jsonl"], ["busy"])
    assert read.beam == ()
    assert words_of(read) == ["a.yaml", "b.jsonl", "c.jsonl", "--rule=busy"]


def test_a_job_of_which_nobody_hears_is_refused() -> None:
    with pytest.raises(UserError, match="--output is missing"):
        parse(read_arguments("backtest", [CLICKS, "a.jsonl"]))


def test_what_was_judged(folder: Path) -> None:
    result = run(folder, "--labels", _labels(folder))
    assert "8 events, 2026-01-05T00:00:00Z to 2026-01-05T02:00:00Z" in result.output
    busy = next(line.split() for line in result.output.splitlines() if line.startswith("  busy "))
    assert busy == ["busy", "2", "2", "0", "0", "1", "1", "1", "100.0%", "50.0%"]


def _labels(folder: Path) -> str:
    path = folder / "labels.csv"
    path.write_text(
        "start,end,page\n2026-01-05T01:00Z,2026-01-05T02:00Z,home\n2026-01-05T00:00Z,2026-01-05T01:00Z,help\n"
    )
    return str(path)


def test_a_sweep_is_drawn(folder: Path) -> None:
    plot = folder / "sweep.svg"
    result = run(folder, "--rule", "busy", "--sweep", "least=0:4:3", "--labels", _labels(folder), "--plot", str(plot))
    rows = [line.split() for line in result.output.splitlines() if line.startswith("  busy ")]
    assert [row[1:3] for row in rows] == [["0", "2"], ["2", "1"], ["4", "0"]]
    picture = plot.read_text()
    assert picture.startswith("<svg ")
    assert "busy precision" in picture
    assert "busy recall" in picture


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--rule", "busi"], "there is no rule 'busi'; did you mean 'busy'?", id="unknown-rule"),
        pytest.param(["--set", "leest=1"], "no rule has 'leest'; did you mean 'least'?", id="unknown-setting"),
        pytest.param(["--set", "least"], "write NAME=VALUE", id="no-value"),
        pytest.param(["--set", "for=soon"], "--set for: ", id="no-duration"),
        pytest.param(["--sweep", "least=3:1"], "write NAME=LOW:HIGH", id="sweep-backwards"),
        pytest.param(["--plot", "a.svg"], "--plot draws a --sweep", id="nothing-to-draw"),
        pytest.param(["--labels", "none.csv"], "labels none.csv: No such file", id="no-labels"),
        pytest.param(["--as-known"], "name the folder of a journal or installation", id="files-know-no-time"),
        pytest.param(["--as-known", "--sweep", "least=1:3"], "--as-known goes without --sweep", id="no-sweep-as-known"),
        pytest.param(["--store", "views.db"], "--store says by which publications", id="a-store-of-nothing"),
        pytest.param(["--complete-until", "soon"], "'soon' is not a time", id="no-time"),
    ],
)
def test_what_is_wrong(folder: Path, flags: list[str], message: str) -> None:
    result = run(folder, *flags)
    assert result.exit_code == 2
    assert message in result.output


def test_nothing_to_judge(folder: Path) -> None:
    (folder / "clicks.jsonl").write_text("{}\n")
    result = run(folder)
    assert result.exit_code == 2
    assert "nothing to judge: of 1 records the definition counts none" in result.output
