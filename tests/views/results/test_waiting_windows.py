"""What waits of a window: the keys that have changed, or all at once where that are most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Never

import pytest
from without_runner.result_stories import Event, Story, definition_of

from tandem.schemas.time.durations import SECOND
from tandem.views.results.due.holding import HeldBack
from tandem.views.storage.database import Database

USERS = [f"user{number:03}" for number in range(100)]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "v.db", definition_of("{window: 1m, trigger: {early: 10s}, to: log}"))
    story.serve()
    yield story
    story.close()


@pytest.mark.parametrize(
    ("users", "rows"),
    [
        pytest.param(3, 3, id="few of them"),
        pytest.param(64, 64, id="as many as are read one by one"),
        pytest.param(69, 69, id="less than half of many"),
        pytest.param(70, 1, id="half of many"),
        pytest.param(140, 1, id="all"),
    ],
)
def test_a_window_that_is_over(story: Story, users: int, rows: int) -> None:
    everybody = [f"user{number:03}" for number in range(140)]
    story.live(*(Event(0.1, user=user) for user in everybody))
    story.watermark(1)
    assert len(story.deliver()) == len(everybody)
    story.due(everybody[:users])
    assert len(story.waiting(1)) == rows
    assert story.deliver() == []
    assert story.waiting(1) == []


def test_of_a_whole_window_what_has_changed_is_sent(story: Story) -> None:
    story.live(*(Event(0.1, user=user) for user in USERS))
    story.watermark(1)
    story.deliver()
    story.live(*(Event(0.2, user=user) for user in USERS[:70]))
    assert story.waiting(1) == [(1, "")]
    sent = story.deliver()
    assert sorted(message["key"]["user"] for message in sent) == USERS[:70]
    assert {(message["timing"], message["revision"]) for message in sent} == {("LATE", 2)}


def test_a_round_without_work_begins_no_write_transaction(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.live(Event(0.1))
    story.watermark(1)
    assert len(story.deliver()) == 1
    story.deliver()

    def writes(*_: object, **__: object) -> Never:
        pytest.fail("live waits for it")

    monkeypatch.setattr(Database, "write", writes)
    assert story.deliver() == []


def test_a_window_of_which_nothing_was_sent(story: Story) -> None:
    story.live(*(Event(0.1, user=user) for user in USERS))
    assert story.waiting(0) == [(1, "")]
    story.wait(10)
    assert len(story.deliver()) == len(USERS)


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        pytest.param("{window: 1m, to: log}", 1, id="never early"),
        pytest.param("{window: 1m, trigger: {early: 10s}, to: log}", 2, id="early"),
        pytest.param("{window: {size: 3m, every: 1m}, trigger: {early: 10s}, to: log}", 4, id="early, sliding"),
        pytest.param("{window: {session: 1m}, to: log}", 2, id="sessions"),
    ],
)
def test_an_open_window(tmp_path: Path, result: str, rows: int) -> None:
    """Once it is over all of it is due in any case; before that what has changed, of the one that ends next."""
    story = Story(tmp_path / "v.db", definition_of(result))
    story.serve()
    story.live(Event(0.1, user="ann"), Event(0.2, user="bob"))
    assert len(story.waiting(0)) == rows
    story.close()


@pytest.mark.parametrize(
    ("result", "watermark", "held"),
    [
        pytest.param("{window: 1m, trigger: {early: 10s}, to: log}", 0, (1, 10), id="early"),
        pytest.param("{window: 1m, to: log}", 0, (1, None), id="until it is over"),
        pytest.param("{window: 1m, trigger: {late: 30s}, to: log}", 1, (1, 30), id="late"),
        pytest.param("{window: 1m, trigger: {late: never}, to: log}", 1, (1, None), id="until it is final"),
        pytest.param("{window: 1m, to: log}", 1, (0, None), id="not at all"),
        pytest.param("{window: {size: 3m, every: 1m}, trigger: {early: 10s}, to: log}", 0, (3, 10), id="sliding"),
    ],
)
def test_what_is_held_back(tmp_path: Path, result: str, watermark: float, held: tuple[int, int | None]) -> None:
    """From the round on that finds a change."""
    story = Story(tmp_path / "v.db", definition_of(result, lateness="1m"))
    story.serve()
    if watermark:
        story.live(Event(0.1))
        story.watermark(watermark)
        story.deliver()
    story.live(Event(0.2))
    story.wait(100)
    story.deliver()
    windows, seconds = held
    until = story.now + seconds * SECOND if seconds is not None else None
    assert story.deliverer.held_back() == HeldBack(windows, until)
    story.close()
