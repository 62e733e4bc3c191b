"""Rules over many keys: what waits of a window, what several rules read together, and which verdicts are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from without_runner.alert_cases import story_of
from without_runner.alert_stories import AlertStory
from without_runner.result_stories import BEGIN, Event

from tandem.schemas.time.durations import MINUTE
from tandem.views.answers.reading.rows import span_rows
from tandem.views.decisions import draining
from tandem.views.decisions.judging import window_answers
from tandem.views.decisions.parts import write_verdicts

EVERYBODY = [f"user{number:03}" for number in range(140)]
BUSY = "{busy: {window: 1m, expr: n >= 2, early: 5s, to: log}}"


def visited(story: AlertStory, minute: float, users: list[str]) -> None:
    story.live(*(Event(minute, user=user) for user in users))


def judge_early(story: AlertStory) -> list[tuple[Any, ...]]:
    """What is told of windows that wait since now, once they have waited long enough."""
    assert story.told() == []
    story.wait(5)
    return story.told()


@pytest.mark.parametrize(
    ("users", "rows"),
    [
        pytest.param(3, 3, id="few of them"),
        pytest.param(64, 64, id="as many as are read one by one"),
        pytest.param(69, 69, id="less than half of all that have verdicts"),
        pytest.param(70, 1, id="half of these"),
        pytest.param(140, 1, id="all"),
    ],
)
def test_what_waits_of_a_window(tmp_path: Path, users: int, rows: int) -> None:
    story = story_of(tmp_path, BUSY)
    visited(story, 0.1, EVERYBODY)
    assert judge_early(story) == []
    assert story.waiting(0) == []
    story.due(EVERYBODY[:users])
    assert len(story.waiting(0)) == rows


def test_alerts_of_many_keys_are_those_of_a_backtest(tmp_path: Path) -> None:
    story = story_of(tmp_path, BUSY)
    for minute in range(4):
        visited(story, minute + 0.1, EVERYBODY)
        visited(story, minute + 0.2, EVERYBODY[minute::3])
        story.deliver()
        story.wait(5)
        story.deliver()
    story.watermark(4)
    story.deliver()
    story.batch(1, 4)
    story.deliver()
    assert story.settled() == story.backtested()
    assert len(story.settled()) > len(EVERYBODY)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The spans that rows of all keys are read of."""
    read: list[Any] = []

    def reads(connection: Any, scope: Any, *span: Any) -> Any:
        read.append(span)
        return span_rows(connection, scope, *span)

    monkeypatch.setattr(window_answers, "span_rows", reads)
    return read


def test_rules_share_what_they_read(tmp_path: Path, counted: list[Any]) -> None:
    each = ", ".join(f"r{at}: {{window: 1m, expr: n >= {at}, early: 5s, to: log}}" for at in range(1, 13))
    story = story_of(tmp_path, f"{{{each}}}")
    visited(story, 0.1, EVERYBODY)
    assert {state[0] for state in judge_early(story)} == {"TENTATIVE"}
    assert counted == [(BEGIN, BEGIN + MINUTE)]


def test_verdicts_that_stay_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story, written = story_of(tmp_path, BUSY), list[list[str]]()

    def noted(database: Any, connection: Any, name: str, rule: str, kept: Any) -> None:
        written.append(kept.keys)
        write_verdicts(database, connection, name, rule, kept)

    monkeypatch.setattr(draining, "write_verdicts", noted)
    for minute in (0.1, 0.2, 0.3):
        visited(story, minute, ["ann", "bob"] if minute < 0.2 else ["bob"])
        judge_early(story)
    assert written == [['["ann"]', '["bob"]'], ['["bob"]'], []]
