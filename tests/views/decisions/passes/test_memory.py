"""What a process remembers of its passes changes nothing but how long they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from without_runner.alert_cases import BUSY, busy, story_of
from without_runner.alert_seeds import RULES, wandered
from without_runner.alert_stories import AlertStory

from tandem.views.decisions import episodes
from tandem.views.decisions.parts import stored_verdicts
from tandem.views.decisions.passes import memory, reading
from tandem.views.decisions.tables import (
    decision_episodes,
    decision_progress,
    decision_receipts,
    decision_verdict_parts,
)

TABLES = (decision_episodes, decision_receipts, decision_verdict_parts, decision_progress)


def everything(story: AlertStory) -> list[Any]:
    """All that was decided, and all that was sent."""
    found: list[Any] = [story.output.sent]
    with story.store.database.read() as connection:
        for table in TABLES:
            rows = connection.execute(sa.select(*table.primary_key, *table.columns))
            found.append(sorted(map(repr, rows)))
    return found


def told(kind: str, seed: int) -> list[Any]:
    with wandered(kind, seed) as wandering:
        return everything(wandering.story)


def check_the_same(kind: str, seed: int, patch: pytest.MonkeyPatch) -> bool:
    """Among its steps: another process decides, publications, roll backs, changed rules, who delivers changes. Returns
    whether there are episodes.
    """
    remembered = told(kind, seed)
    patch.setattr(memory, "_MOST_BYTES", -1)
    assert told(kind, seed) == remembered
    return bool(remembered[1])


@pytest.mark.parametrize("kind", RULES)
def test_a_seeded_story_is_the_same_without_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_the_same(kind, 20, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("seed", range(21, 30))
def test_more_seeded_stories(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check_the_same(kind, seed, monkeypatch)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of a rule's state, in order."""
    found = list[str]()

    def noted(what: str, work: Any) -> Any:
        def reads(*place: Any) -> Any:
            found.append(what)
            return work(*place)

        return reads

    monkeypatch.setattr(reading, "stored_verdicts", noted("verdicts", stored_verdicts))
    for module in (reading, memory):
        monkeypatch.setattr(module, "stored_episodes", noted("episodes", episodes.stored_episodes))
    return found


def remembering(folder: Path) -> AlertStory:
    """A story whose deliverer remembers a rule: it has judged a window whole."""
    story = story_of(folder, BUSY.replace("to:", "early: 5s, to:"))
    busy(story, 0)
    story.watermark(1)
    story.batch(1, 1)
    assert [told[0] for told in story.told()] == ["RAISED_LATE"]
    story.deliver()
    return story


def test_what_is_remembered_is_read_once(tmp_path: Path, read: list[str]) -> None:
    story = remembering(tmp_path)
    read.clear()
    for second in range(4):
        busy(story, 1 + second / 10, "bob", 2)
        story.deliver()
        story.wait(5)
        story.deliver()
    assert [told[:3] for told in story.told()] == []
    assert read == ["episodes", "episodes"], "all once, then those that changed"


def test_a_rule_without_room_is_read_each_time(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story = remembering(tmp_path)
    monkeypatch.setattr(memory, "_MOST_BYTES", 100)
    for generation in (2, 3):
        busy(story, 1, "bob", generation)
        story.batch(generation, 1)
        story.deliver()
    read.clear()
    story.batch(4, 1)
    busy(story, 1, "cid", 4)
    story.deliver()
    story.wait(5)
    story.deliver()
    assert "verdicts" in read
