"""`tandem results list` says what waits to be sent, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from without_runner.alert_stories import AlertStory, rules_definition, rules_text
from without_runner.result_stories import TEXT, Event, Story, definition_of

from tandem.app import app


@pytest.mark.parametrize("fails", ["", "topic t: PERMISSION_DENIED: no"], ids=["nothing", "an output that refuses"])
def test_what_waits_is_listed(tmp_path: Path, fails: str) -> None:
    story = Story(tmp_path / "views.db", definition_of("{window: 1m, to: log}"))
    measures = "{n: count, amount: {sum: amount}}"
    text = TEXT.format(result="{window: 1m, to: log}", tile="1m", lateness="0s", measures=measures)
    story.store.definitions.register(story.compiled, text)
    story.serve()
    story.live(Event(0.1), Event(0.2, user="bob"))
    story.watermark(3)
    story.output.fails = fails
    story.deliver()
    story.close()
    done = CliRunner().invoke(app, ["results", "list", "visits"], env={"TANDEM_HOME": str(tmp_path)})
    assert done.exit_code == 0, done.output
    assert "ON_TIME" in done.stdout
    assert ("2 messages to send" in done.stderr) == bool(fails)
    assert (f"log fails: {fails}" in done.stderr) == bool(fails)


RULES = "{busy: {window: 1m, expr: n >= 2, to: log}}"


@pytest.fixture
def ruled(tmp_path: Path) -> AlertStory:
    """A view whose definition has rules only, and whose output takes nothing in."""
    story = AlertStory(tmp_path / "views.db", rules_definition(RULES), rules_text(RULES))
    story.serve()
    story.live(Event(0.1), Event(0.2))
    story.watermark(3)
    story.output.fails = "log: no"
    story.deliver()
    story.close()
    return story


def results(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["results", *arguments], env={"TANDEM_HOME": str(folder)})


def test_who_has_rules_only_is_told_what_waits_and_where_alerts_are(ruled: AlertStory, tmp_path: Path) -> None:
    done = results(tmp_path, "list", "visits")
    assert done.exit_code == 0, done.output
    assert "`tandem alerts list visits`" in done.stdout
    assert "1 messages to send" in done.stderr
    assert "log fails: log: no" in done.stderr


def test_who_has_rules_only_has_no_revisions(ruled: AlertStory, tmp_path: Path) -> None:
    done = results(tmp_path, "list", "visits", "--json")
    assert (done.exit_code, done.stdout.strip()) == (0, "[]"), done.output
    done = results(tmp_path, "show", "visits", "busy", "--at", "2026-01-05T08:00")
    assert done.exit_code != 0
    assert "`tandem alerts list visits`" in f"{done.output}{done.exception}"


def test_windows_of_rules_are_looked_at_again(ruled: AlertStory, tmp_path: Path) -> None:
    done = results(tmp_path, "send", "visits")
    assert (done.exit_code, done.stdout.strip()) == (0, "visits: 1 tiles are due"), done.output


def test_who_has_neither_is_refused(tmp_path: Path) -> None:
    story = AlertStory(tmp_path / "views.db", rules_definition("{}"), rules_text("{}"))
    story.close()
    done = results(tmp_path, "list", "visits")
    assert done.exit_code != 0
    assert "declares none" in f"{done.output}{done.exception}"
