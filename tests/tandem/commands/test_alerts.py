"""`tandem alerts` over a small view: what is listed, shown, acknowledged, silenced and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from without_runner.alert_stories import AlertStory, rules_definition
from without_runner.result_stories import TEXT, Event

from tandem.app import app

RULES = "{busy: {window: 1m, expr: n >= 2, baseline: {season: none}, annotations: {s: '{{ n }}'}, to: log}}"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """One alert that batch confirmed, and one that goes on."""
    story = AlertStory(tmp_path / "v.db", rules_definition(RULES))
    text = TEXT.format(result="{}", tile="1m", lateness="0s", measures="{n: count, amount: {sum: amount}}")
    story.store.definitions.register(story.compiled, text.replace("results: {r: {}}", f"rules: {RULES}"))
    story.serve()
    story.live(Event(0.1), Event(0.2))
    story.watermark(2)
    story.deliver()
    story.batch(1, 2)
    story.live(*(Event(2 + n / 10, user="bob", generation=2) for n in range(3)))
    story.watermark(3)
    story.deliver()
    story.close()
    return f"{tmp_path}/v.db"


def run(store: str, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["alerts", command, "visits", *arguments, "--store", store])


def listed(store: str, *flags: str) -> list[dict[str, Any]]:
    result = run(store, "list", "--json", *flags)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_list(store: str) -> None:
    assert [(a["key"]["user"], a["state"], a["status"]) for a in listed(store)] == [
        ("bob", "TENTATIVE", "firing"),
        ("ann", "CONFIRMED", "resolved"),
    ]
    assert [a["key"]["user"] for a in listed(store, "--firing")] == ["bob"]
    assert [a["key"]["user"] for a in listed(store, "--state", "CONFIRMED")] == ["ann"]
    assert [a["key"]["user"] for a in listed(store, "--key", "bob", "--rule", "busy")] == ["bob"]
    assert listed(store, "--to", "2026-01-05T08:00") == []
    assert "TENTATIVE" in run(store, "list").output


def test_show(store: str) -> None:
    (_, ann) = listed(store)
    shown = json.loads(run(store, "show", ann["id"][:6], "--json").stdout)
    assert [state["values"] for state in shown["states"]] == [{"n": 2}] * 2
    assert "state 2, decided at" in run(store, "show", ann["id"]).output


def test_ack(store: str) -> None:
    bob = listed(store)[0]["id"]
    assert run(store, "ack", bob, "--by", "me", "--note", "seen").exit_code == 0
    assert (listed(store)[0]["acknowledged_by"], listed(store)[0]["note"]) == ("me", "seen")


def test_silence(store: str) -> None:
    assert "nothing is silenced" in run(store, "silence", "--list").output
    assert (
        "silence 1 until" in run(store, "silence", "--rule", "busy", "--key", "bob", "--for", "2h", "--by", "me").output
    )
    assert 'rule busy, key ["bob"], until' in run(store, "silence", "--list").output
    assert run(store, "silence", "--end", "1").exit_code == 0
    assert "nothing is silenced" in run(store, "silence", "--list").output


def test_report(store: str) -> None:
    (busy,) = json.loads(run(store, "report", "--json").stdout)
    assert (busy["tentative"], busy["confirmed"], busy["precision"], busy["missed"]) == (1, 1, 1.0, 0.0)
    assert "100.0%" in run(store, "report").output


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        pytest.param("list", ["--state", "firing"], "the states are TENTATIVE", id="unknown-state"),
        pytest.param("show", ["zzz"], "no alert, or more than one, begins with 'zzz'", id="unknown-alert"),
        pytest.param("ack", ["zzz"], "no alert, or more than one", id="unknown-to-acknowledge"),
        pytest.param("silence", [], "give one of --for DURATION, --end N, --list", id="no-silence"),
        pytest.param("silence", ["--for", "soon"], "--for: ", id="no-duration"),
        pytest.param("silence", ["--for", "1h", "--rule", "bus"], "has no rule 'bus'", id="unknown-rule"),
        pytest.param("silence", ["--end", "9"], "there is no silence 9", id="unknown-silence"),
    ],
)
def test_what_is_wrong(store: str, command: str, flags: list[str], message: str) -> None:
    result = run(store, command, *flags)
    assert result.exit_code == 2
    assert message in result.output
