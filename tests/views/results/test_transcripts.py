"""What is sent when: early, on time, late, final, corrected; by window, mode, trigger and lateness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oracles.result_laws import added_up, check_answers, check_revisions
from without_runner.result_stories import BEGIN, Event, Story, definition_of, summary

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import MINUTE
from tandem.views.results.due.choosing import Cursor
from tandem.views.results.due.expanding import expand_due
from tandem.views.results.revisions.closing import begin_revisions_above, close_windows
from tandem.views.results.revisions.draining import Drainer

EARLY = "{window: 1m, trigger: {early: 10s}, to: log}"

Tell = Callable[[Any], None]
Completeness = list[tuple[Any, ...]]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Callable[..., Story]]:
    stories: list[Story] = []

    def begin(result: str, **options: str) -> Story:
        story = Story(tmp_path / f"{len(stories)}.db", definition_of(result, **options))
        stories.append(story)
        story.serve()
        return story

    yield begin
    for story in stories:
        check_revisions(story.output.sent)
        story.close()


def test_from_early_to_corrected(told: Callable[..., Story]) -> None:
    story = told(EARLY)
    story.live(Event(0.1), Event(0.2, user="bob"))
    assert story.told() == []
    story.wait(10)
    assert story.told() == [("EARLY", "ann", "08:00", 1), ("EARLY", "bob", "08:00", 1)]
    story.live(Event(0.3))
    assert story.told() == []
    story.wait(10)
    assert story.told() == [("EARLY", "ann", "08:00", 2)]
    story.watermark(1)
    assert story.told() == [("ON_TIME", "ann", "08:00", 2), ("ON_TIME", "bob", "08:00", 1)]
    assert story.told() == []
    story.live(Event(0.4), Event(0.5, user="cid"))
    assert story.told() == [("LATE", "ann", "08:00", 3), ("LATE", "cid", "08:00", 1)]
    story.batch(1, complete_to=1)
    assert {row[:2] for row in story.told()} == {("FINAL", "ann"), ("FINAL", "bob"), ("FINAL", "cid")}
    story.live(Event(0.6, generation=2), Event(0.7, user="dan", generation=2))
    assert story.told() == [("CORRECTED", "ann", "08:00", 4), ("CORRECTED", "dan", "08:00", 1)]
    check_answers(story)


def test_without_early_nothing_is_sent_before_the_end(told: Callable[..., Story]) -> None:
    story = told("{window: 2m, to: log}")
    story.live(Event(0.1), Event(1.1))
    story.wait(1_000)
    assert story.told() == []
    story.watermark(2)
    assert story.told() == [("ON_TIME", "ann", "08:00", 2)]
    check_answers(story)


def test_what_is_too_late_for_live_is_corrected_or_final_by_batch(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, to: log}")
    story.live(Event(0.1))
    story.watermark(1)
    assert story.told() == [("ON_TIME", "ann", "08:00", 1)]
    story.too_late(Event(0.2), Event(0.3, generation=2))
    assert story.told() == []
    story.batch(1, complete_to=1)
    # What came in the next generation is known to be missing: so the window isn't final yet.
    assert story.told() == [("LATE", "ann", "08:00", 2)]
    story.batch(2, complete_to=1)
    assert story.told() == [("FINAL", "ann", "08:00", 3)]
    story.too_late(Event(0.4, generation=3))
    story.batch(3, complete_to=2)
    assert story.told() == [("CORRECTED", "ann", "08:00", 4)]
    check_answers(story)


def test_idle_windows_are_on_time_and_final_once_the_watermark_goes_on(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, lateness: 5m, to: log}")
    story.live(Event(0.1))
    for minutes in (0.5, 0.9):
        story.watermark(minutes)
        assert story.told() == []
    story.watermark(60)
    assert story.told() == [("ON_TIME", "ann", "08:00", 1)]
    story.batch(1, complete_to=5)
    assert story.told() == []
    story.batch(1, complete_to=6)
    assert story.told() == [("FINAL", "ann", "08:00", 1)]
    check_answers(story)


@pytest.mark.parametrize(
    ("late", "at_once", "after_30s", "after_60s"),
    [
        pytest.param("each", 1, 0, 0, id="each"),
        pytest.param("1m", 0, 0, 1, id="one-a-minute"),
        pytest.param("never", 0, 0, 0, id="never"),
    ],
)
def test_late_triggers(told: Callable[..., Story], late: str, at_once: int, after_30s: int, after_60s: int) -> None:
    story = told(f"{{window: 1m, trigger: {{late: {late}}}, lateness: 10m, to: log}}")
    story.live(Event(0.1))
    story.watermark(1)
    story.told()
    story.live(Event(0.2))
    assert len(story.told()) == at_once
    story.wait(30)
    story.live(Event(0.3))
    assert len(story.told()) == after_30s + (at_once if late == "each" else 0)
    story.wait(30)
    assert len(story.told()) == after_60s
    story.batch(1, complete_to=11)
    assert story.told() == [("FINAL", "ann", "08:00", 3)]
    check_answers(story)


def test_retracting_says_what_is_replaced(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, mode: retracting, to: log}")
    story.live(Event(0.1, amount=5))
    story.watermark(1)
    assert [message["replaces"] for message in story.deliver()] == [None]
    story.live(Event(0.2, amount=7))
    (message,) = story.deliver()
    assert message["replaces"] == {"revision": 1, "results": {"n": 1, "amount": 5}}
    assert message["results"] == {"n": 2, "amount": 12}


def test_discarding_adds_up(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, trigger: {early: 10s}, mode: discarding, to: log}")
    for amount in (5, -3, 2):
        story.live(Event(0.1, amount=amount))
        story.told()
        story.wait(10)
        story.told()
    story.watermark(1)
    story.told()
    story.batch(1, complete_to=1)
    assert [(m["results"]["n"], m["results"]["amount"]) for m in story.output.sent] == [(1, 5), (1, -3), (1, 2), (0, 0)]
    story.deliver()
    assert list(added_up(story.output.sent).values()) == [{"n": 3, "amount": 4}]


def test_sliding_windows_are_early_where_they_end_next(told: Callable[..., Story]) -> None:
    story = told("{window: {size: 3m, every: 1m}, trigger: {early: 10s}, to: log}")
    story.live(Event(2.5))
    story.told()
    story.wait(10)
    assert story.told() == [("EARLY", "ann", "08:00", 1)]
    story.watermark(3)
    assert story.told() == [("ON_TIME", "ann", "08:00", 1)]
    story.watermark(9)
    assert story.told() == [("ON_TIME", "ann", "08:01", 1), ("ON_TIME", "ann", "08:02", 1)]
    check_answers(story)


def test_a_day_on_which_clocks_change_has_25_hours(told: Callable[..., Story]) -> None:
    story = told("{window: {calendar: day, zone: Europe/Berlin}, to: log}", tile="1h")
    # 2026-10-25 in Berlin: from 24T22:00Z to 25T23:00Z.
    start = 292 * 24 * 60 + 14 * 60
    story.live(Event(start), Event(start + 25 * 60 - 1, amount=3), Event(start - 1), Event(start + 25 * 60))
    story.watermark(start + 24 * 60)
    assert story.told() == [("ON_TIME", "ann", "22:00", 1)]
    story.watermark(start + 25 * 60)
    (message,) = story.deliver()
    assert (message["start"], message["end"]) == ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")
    assert message["results"] == {"n": 2, "amount": 4}


def test_sessions_grow_and_those_that_grow_together_are_withdrawn(told: Callable[..., Story]) -> None:
    story = told("{window: {session: 5m}, trigger: {early: 10s}, to: log}")
    story.live(Event(0.5), Event(7))
    story.told()
    story.wait(10)
    assert story.told() == [("EARLY", "ann", "08:00", 1), ("EARLY", "ann", "08:07", 1)]
    story.watermark(12)
    assert story.told() == [("ON_TIME", "ann", "08:00", 1), ("ON_TIME", "ann", "08:07", 1)]
    story.live(Event(4))
    sent = story.told()
    assert sorted(sent) == [("LATE", "ann", "08:00", 3), ("LATE", "ann", "08:07", None)]
    assert [m["withdrawn"] for m in story.output.sent[-2:]].count(True) == 1
    story.batch(1, complete_to=60)
    assert ("FINAL", "ann", "08:00", 3) in story.told()
    check_answers(story)


def test_sessions_without_early_wait_for_their_end(told: Callable[..., Story]) -> None:
    story = told("{window: {session: 5m}, to: log}")
    story.live(Event(0.5))
    story.watermark(5)
    assert story.told() == []
    story.live(Event(4))
    story.watermark(8)
    assert story.told() == []
    story.watermark(9)
    assert story.told() == [("ON_TIME", "ann", "08:00", 2)]
    check_answers(story)


def test_where_withdraws_what_no_longer_fulfils_it(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, trigger: {early: 10s}, where: amount < 10 AND events > 1, to: log}")
    story.live(Event(0.1))
    story.watermark(1)
    assert story.told() == []
    story.live(Event(0.2))
    assert story.told() == [("LATE", "ann", "08:00", 2)]
    story.live(Event(0.3, amount=100))
    assert story.told() == [("LATE", "ann", "08:00", None)]
    story.live(Event(0.4, amount=-100))
    assert story.told() == [("LATE", "ann", "08:00", 4)]


def test_a_backfill_alone_sends_one_final_pane(told: Callable[..., Story]) -> None:
    story = told(EARLY)
    story.live(Event(0.1), Event(1.2))
    story.batch(1, complete_to=2, live=False)
    assert story.told() == [("FINAL", "ann", "08:00", 1), ("FINAL", "ann", "08:01", 1)]
    check_answers(story)


def test_what_is_written_again_without_a_change_sends_nothing(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, to: log}")
    story.live(Event(0.1))
    story.watermark(1)
    story.told()
    story._write_tile(story._tile(Event(0.1)))
    assert story.left() == 1
    assert story.told() == []
    check_answers(story)


def test_a_watermark_waits_for_what_live_has_received_before_it(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, to: log}")
    story._segment([Event(0.1), Event(0.2, user="bob")])
    story.watermark(1)
    story.events.append(Event(0.2, user="bob"))
    story._write_tile(story._tile(Event(0.2)))
    assert story.told() == []
    story.wait(2)
    assert story.told() == [("ON_TIME", "bob", "08:00", 1)]


def test_rolling_back_sends_what_is_answered_then(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, to: log}")
    story.live(Event(0.1))
    story.watermark(1)
    story.batch(1, complete_to=1)
    assert story.told() == [("FINAL", "ann", "08:00", 1)]
    story.too_late(Event(0.2, generation=2))
    story.batch(2, complete_to=2)
    assert story.told() == [("CORRECTED", "ann", "08:00", 2)]
    story.store.publishing.roll_back("visits", 2, accept_late=True)
    assert story.told() == [("CORRECTED", "ann", "08:00", 1)]
    check_answers(story)


# closing, and stores that are made anew


def test_closed_windows_send_nothing_more(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, to: log}")
    story.live(Event(0.1), Event(2.5))
    story.watermark(3)
    assert len(story.told()) == 2
    with pytest.raises(UserError, match=r"visits: r of 2026-01-05T08:00:00Z, \[\"ann\"\] isn't final yet"):
        close_windows(story.store.database, "visits", BEGIN + MINUTE)
    story.batch(1, complete_to=3)
    assert len(story.told()) == 2
    assert close_windows(story.store.database, "visits", BEGIN + MINUTE) == 1
    assert set(story.last()) == {(BEGIN + 2 * MINUTE, '["ann"]')}
    story.live(Event(0.2, generation=2), Event(2.6, generation=2))
    assert story.told() == [("CORRECTED", "ann", "08:02", 2)]
    assert story.left() == 0
    story.batch(2, complete_to=3)
    assert story.told() == []


def test_a_drainer_that_read_before_windows_were_closed_writes_nothing(told: Callable[..., Story]) -> None:
    story = told("{window: 1m, to: log}")
    story.live(Event(0.1))
    story.watermark(3)
    story.batch(1, complete_to=3)
    story.told()
    story.live(Event(0.2, generation=2))
    drainer = Drainer(story.store, story.compiled)
    expand_due(story.store.database, story.compiled.definition, BEGIN, story.now)
    seen = drainer._read("r", BEGIN, story.now, Cursor())
    assert seen is not None
    assert len(seen.revisions) == 1
    close_windows(story.store.database, "visits", BEGIN + MINUTE)
    assert drainer._write("r", seen, story.now) is None
    assert story.told() == []


@pytest.mark.parametrize("mode", ["accumulating", "retracting"])
def test_a_store_made_anew_counts_on_above_what_was_sent(told: Callable[..., Story], mode: str) -> None:
    story = told(f"{{window: 1m, mode: {mode}, to: log}}")
    begin_revisions_above(story.store.database, "visits", 1_795_000_000)
    story.live(Event(0.1))
    story.watermark(1)
    (first,) = story.deliver()
    story.live(Event(0.2))
    (second,) = story.deliver()
    assert [message["revision"] for message in (first, second)] == [1_795_000_001, 1_795_000_002]
    if mode == "retracting":
        assert first["replaces"] is None
        assert second["replaces"] == {"revision": 1_795_000_001, "results": {"n": 1, "amount": 1}}
    story.output.sent.clear()


def test_a_session_that_goes_on_is_corrected_where_earlier_windows_are_closed(told: Callable[..., Story]) -> None:
    story = told("{window: {session: 2m}, trigger: {early: 10s}, lateness: 1m, to: log}")
    story.live(*(Event(minute) for minute in (0.5, 2, 3, 4)), Event(0.5, user="bob"))
    story.told()
    story.wait(10)
    story.watermark(3.5)
    assert sorted(story.told()) == [("EARLY", "ann", "08:00", 4), ("ON_TIME", "bob", "08:00", 1)]
    story.batch(1, complete_to=4.5)
    assert story.told() == [("FINAL", "bob", "08:00", 1)]
    assert close_windows(story.store.database, "visits", BEGIN + 3 * MINUTE) == 1
    story.watermark(6)
    assert story.told() == [("ON_TIME", "ann", "08:00", 4)]
    story.too_late(Event(0.7, generation=2), Event(0.8, user="bob", generation=2))
    story.batch(2, complete_to=4.5)
    assert story.told() == [("LATE", "ann", "08:00", 5)], "bob's is closed"


def test_a_session_that_grows_into_a_closed_one_has_a_higher_number_than_both(told: Callable[..., Story]) -> None:
    story = told("{window: {session: 1m}, to: log}", tile="1m")
    story.live(Event(0.5), Event(3))
    story.watermark(4)
    story.told()
    story.batch(1, complete_to=2.5)
    assert story.told() == [("FINAL", "ann", "08:00", 1)]
    assert close_windows(story.store.database, "visits", BEGIN + 2 * MINUTE) == 1
    story.live(Event(1.2, generation=2), Event(2.1, generation=2))
    sent = story.deliver()
    assert sorted(map(summary, sent), key=str) == [("LATE", "ann", "08:00", 4), ("LATE", "ann", "08:03", None)]
    (grown,) = (message for message in sent if message["start"].startswith("2026-01-05T08:00"))
    assert grown["revision"] == story.now // 1_000_000 + 1
    story.output.sent.clear()
