"""Delivering beside a run: what nobody expected is said, noted, and tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes.stages import wait_for
from without_runner.result_stories import Event, Story, definition_of

from tandem.pipelines.delivery.beside import _Rounds, delivering
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.serving.installation.health import _unsent
from tandem.views.results.listing import backlog

SAID = "visits: results wait, by an error of Tandem itself: ZeroDivisionError: by nothing"
NOTED = "results wait for revisions: ZeroDivisionError: by nothing"


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "v.db", definition_of("{window: 1m, to: log}"))
    story.serve()
    yield story
    story.close()


class Failing:
    """A source of records that fails so often."""

    def __init__(self, times: int) -> None:
        self.left = times

    def drain(self, now: int) -> int:
        if self.left:
            self.left -= 1
            raise ZeroDivisionError("by nothing")
        return 0


def health(story: Story) -> str | None:
    with story.store.database.read() as connection:
        told = backlog(connection, "visits")
    assert told is not None
    return _unsent(told, story.now)


def failing_times(story: Story, times: int) -> Failing:
    source = Failing(times)
    story.deliverer._sources = [source, *story.deliverer._sources]
    return source


def test_it_is_said_once_noted_and_tried_again_ever_later(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    said = list[str]()
    rounds, source = _Rounds(story.deliverer, said.append), failing_times(story, 3)
    tried = []
    for second in range(8):
        left = source.left
        rounds.run(float(second))
        tried += [second] * (left - source.left)
        if source.left:
            assert health(story) == NOTED, second
    assert tried == [0, 1, 3]
    assert said == [SAID] * 3
    assert [record.message.splitlines()[-1] for record in caplog.records] == ["ZeroDivisionError: by nothing"]
    assert health(story) is None


def test_others_may_deliver_meanwhile(story: Story) -> None:
    failing_times(story, 1)
    _Rounds(story.deliverer, lambda line: None).run(0.0)
    other = story.new_deliverer("other")
    assert other.run_once() is not None
    other.close()


def test_who_comes_after_it_tells_that_it_works_again(story: Story) -> None:
    failing_times(story, 1)
    _Rounds(story.deliverer, lambda line: None).run(0.0)
    after = _Rounds(story.new_deliverer("after"), lambda line: None)
    after.run(0.0)
    assert health(story) is None
    after.deliverer.close()


def test_the_thread_goes_on_after_it(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    said, intact, rounds = list[str](), Deliverer.run_once, list[int]()

    def run_once(self: Deliverer) -> Any:
        rounds.append(1)
        if len(rounds) == 1:
            raise ZeroDivisionError("by nothing")
        return intact(self)

    monkeypatch.setattr(Deliverer, "run_once", run_once)
    story.live(Event(0.1))
    path = str(story.store.database.url.database)
    with delivering(path, [story.compiled.definition], said.append):
        wait_for("a second round", lambda: len(rounds) > 1)
    assert said[0] == SAID
