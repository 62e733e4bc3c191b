"""`tandem baselines` over a small view: what is printed, what is drawn, and what is wrong with what is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from without_runner.alert_stories import AlertStory, rules_definition
from without_runner.result_stories import TEXT, Event

from tandem.app import app

RULES = (
    "{busy: {window: 1m, expr: n > baseline.n.high, to: log, baseline: "
    "{season: none, periods: 3, min_periods: 2, min_spread: 0.5, band: 1}}, "
    "sum: {window: 2m, expr: amount > 100}}"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One, none, two and five events in four minutes, of batch, and three in a fifth that only live has."""
    folder = tmp_path_factory.mktemp("baselines")
    story = AlertStory(folder / "v.db", rules_definition(RULES))
    text = TEXT.format(result="{}", tile="1m", lateness="0s", measures="{n: count, amount: {sum: amount}}")
    story.store.definitions.register(story.compiled, text.replace("results: {r: {}}", f"rules: {RULES}"))
    story.serve()
    for minute, count in ((0, 1), (2, 2), (3, 5)):
        story.live(*(Event(minute + n / 10) for n in range(count)))
    story.watermark(4)
    story.batch(1, 4)
    story.live(*(Event(4 + n / 10, generation=2) for n in range(3)))
    story.watermark(5)
    story.deliver()
    story.close()
    return f"{folder}/v.db"


def run(store: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["baselines", "visits", *arguments, "--store", store])


def rows(store: str, *flags: str) -> list[tuple[Any, ...]]:
    result = run(store, "--key", "ann", "--json", *flags)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["windows"]
    names = ("value", "usual", "low", "high")
    numbers = [[None if w[name] is None else round(w[name], 4) for name in names] for w in found]
    return [(w["start"][11:16], *each, w["periods"], w["verdict"]) for w, each in zip(found, numbers, strict=True)]


def test_values_by_both_and_what_is_usual_by_batch(store: str) -> None:
    assert rows(store) == [
        ("08:00", 1, None, None, None, 0, "CANT_JUDGE"),
        ("08:01", None, None, None, None, 1, "NO_DATA"),
        ("08:02", 2, None, None, None, 1, "CANT_JUDGE"),
        ("08:03", 5, 1.5, 0.7587, 2.2413, 2, "ACTIVE"),
        ("08:04", 3, 3.5, 1.2761, 5.7239, 2, "OK"),
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(["--from", "2026-01-05T08:03", "--to", "2026-01-05T08:04"],
                     [("08:03", 5, 1.5, 0.7587, 2.2413, 2, "ACTIVE")], id="a-span"),
        pytest.param(["--from", "2026-01-05T08:04", "--statistic", "mean", "--periods", "2", "--min-periods", "1"],
                     [("08:04", 3, 3.5, 1.3787, 5.6213, 2, "OK")], id="another-baseline"),
        pytest.param(["--from", "2026-01-05T08:04", "--set", "baseline.without_alerts=true", "--min-periods", "1",
                      "--set", "baseline.min_spread=1"], [("08:04", 3, 2, 1, 3, 1, "OK")], id="without-alerts"),
        pytest.param(["--from", "2026-01-05T08:04", "--statistic", "absolute", "--set", "baseline.value=1"],
                     [("08:04", 3, 1, 0.5, 1.5, 0, "ACTIVE")], id="absolute"),
        pytest.param(["--from", "2026-01-05T08:04", "--window", "1m", "--season", "none", "--periods", "1"],
                     [("08:04", 3, 5, 5, 5, 1, "OK")], id="without-a-rule"),
        pytest.param(["--rule", "sum", "--from", "2026-01-05T08:02", "--to", "2026-01-05T08:04", "--season", "none",
                      "--periods", "1"], [("08:02", 7, 1, 1, 1, 1, "OK")], id="two-minutes-of-another-rule"),
    ],
)  # fmt: skip
def test_what_is_asked(store: str, flags: list[str], expected: list[tuple[Any, ...]]) -> None:
    assert rows(store, *flags) == expected


def test_printed(store: str) -> None:
    result = run(store, "--key", "ann")
    assert 'n of ["ann"], rule busy: median of 3 by none, UTC, at least 2' in result.output
    assert "RAISED_LATE: 2026-01-05T08:03:00Z to 2026-01-05T08:04:00Z" in result.output
    line = next(line.split() for line in result.output.splitlines() if "08:03:00Z" in line)
    assert line == ["2026-01-05T08:03:00Z", "5", "1.5", "0.7587", "2.2413", "0.7413", "2", "ACTIVE"]


def test_drawn(store: str, tmp_path: Path) -> None:
    page, picture = tmp_path / "b.html", tmp_path / "b.png"
    assert run(store, "--key", "ann", "--plot", str(page), "--plot", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert text.count("<polygon") == 1, "one band, from the window on that has one"
    assert text.count("<polyline") == 3, "values in two pieces, and what is usual"
    assert "RAISED_LATE" in text
    assert "<script" not in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param([], '--key: name one; there are ["ann"]', id="no-key"),
        pytest.param(["--key", "zoe"], 'nothing is known of key ["zoe"] then', id="unknown-key"),
        pytest.param(["--key", "ann", "--to", "2026-01-01"], "nothing is known of key", id="nothing-then"),
        pytest.param(["--key", "ann", "--rule", "bus"], "there is no rule 'bus'; did you mean 'busy'?", id="no-rule"),
        pytest.param(["--key", "ann", "--measure", "m"], "no result 'm' that is a number", id="no-measure"),
        pytest.param(["--key", "ann", "--season", "hour"], "--set baseline.season: ", id="no-season"),
        pytest.param(["--key", "ann", "--min-periods", "9"], "min_periods, 9, is more than periods, 3", id="min-over"),
        pytest.param(["--key", "ann", "--window", "soon"], "--window soon: ", id="no-window"),
        pytest.param(["--key", "ann", "--window", "1m", "--rule", "busy"], "--window goes without --rule", id="both"),
        pytest.param(["--key", "ann", "--plot", "b.gif"], "--plot b.gif: its name ends with .png or .html", id="gif"),
        pytest.param(["--key", "ann", "--plot", "no/b.html"], "--plot no/b.html: No such file", id="no-folder"),
    ],
)
def test_what_is_wrong(store: str, flags: list[str], message: str) -> None:
    result = run(store, *flags)
    assert result.exit_code == 2
    assert message in result.output
