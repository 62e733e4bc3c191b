"""What a pass reads, remembers and writes is recent, however long a rule has been judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from without_runner.alert_cases import busy, parts_of, story_of
from without_runner.alert_seeds import check_parts
from without_runner.alert_stories import AlertStory
from without_runner.result_stories import BEGIN, Event

from tandem.schemas.time.durations import MINUTE
from tandem.views.decisions import parts
from tandem.views.decisions.draining import Decider
from tandem.views.decisions.passes import reading

RULE = "{busy: {window: 1m, expr: n >= 2, early: 5s, to: log}}"
MINUTES = 26


def an_hour(story: AlertStory, decider: Decider) -> None:
    """Ann is busy now and then, bob all the time; batch settles all but the last three minutes."""
    for minute in range(MINUTES):
        story.live(Event(minute + 0.1, generation=minute + 1))
        busy(story, minute, "bob", minute + 1)
        if minute % 7 == 0:
            busy(story, minute, generation=minute + 1)
        story.watermark(minute + 1)
        decider.drain(story.now)
        story.wait(5)
        decider.drain(story.now)
        story.batch(minute + 1, max(minute - 2, 0))
        decider.drain(story.now)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """(first minute, rows) of each read of verdicts."""
    found = list[tuple[float, int]]()

    def noted(connection: Any, name: str, rule: str, since: int, *keys: Any) -> Any:
        rows = parts.stored_verdicts(connection, name, rule, since, *keys)
        found.append(((since - BEGIN) / MINUTE, len(rows)))
        return rows

    monkeypatch.setattr(reading, "stored_verdicts", noted)
    return found


def test_what_is_remembered_stays_small(tmp_path: Path) -> None:
    with parts_of(5):
        story = story_of(tmp_path, RULE)
        decider = Decider(story.store, story.compiled)
        an_hour(story, decider)
        held = decider._memory._of["busy"].kept
        assert len(held.grid) <= 10
        assert held.since >= BEGIN + (MINUTES - 10) * MINUTE
        assert set(held.before) >= {held.since}, "bob is busy since long before"
        check_parts(story)


def test_a_process_reads_parts_that_arent_settled(tmp_path: Path, read: list[tuple[float, int]]) -> None:
    with parts_of(5):
        story = story_of(tmp_path, RULE)
        an_hour(story, Decider(story.store, story.compiled))
        read.clear()
        busy(story, MINUTES, "cid", MINUTES + 1)
        other = Decider(story.store, story.compiled)
        other.drain(story.now)
        story.wait(5)
        assert other.drain(story.now) == 1
        assert read
        assert min(first for first, _ in read) >= MINUTES - 10
        assert max(rows for _, rows in read) <= 6, "of three keys at most two parts"


def test_a_correction_reads_from_its_part_on(tmp_path: Path, read: list[tuple[float, int]]) -> None:
    with parts_of(5):
        story = story_of(tmp_path, RULE)
        decider = Decider(story.store, story.compiled)
        an_hour(story, decider)
        read.clear()
        story.too_late(Event(12.3, user="ann", generation=MINUTES + 1))
        story.live(Event(MINUTES + 0.1, generation=MINUTES + 1))
        story.batch(MINUTES + 1, MINUTES - 2)
        story.deliver()
        decider.drain(story.now)
        assert min(first for first, _ in read) == (12 * MINUTE + BEGIN) // (5 * MINUTE) * 5 - BEGIN // MINUTE
        check_parts(story)
        assert story.settled() == story.backtested()
