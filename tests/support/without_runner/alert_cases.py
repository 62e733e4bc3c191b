"""Named stories of alerts: early, confirmed, withdrawn, raised late, merged, superseded, silenced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tandem.schemas.time.durations import MINUTE, SECOND
from tandem.views.decisions import parts
from tandem.views.decisions.draining import Decider
from tandem.views.decisions.handling import silence
from tandem.views.results.due.expanding import expand_due
from without_runner.alert_stories import AlertStory, minutes, rules_definition
from without_runner.result_stories import BEGIN, Event

__all__ = ["CASES", "parts_of"]

BUSY = "{busy: {window: 1m, expr: n >= 2, to: log}}"


def story_of(folder: Path, rules: str) -> AlertStory:
    story = AlertStory(folder / "v.db", rules_definition(rules))
    story.serve()
    return story


@contextmanager
def parts_of(windows: int) -> Iterator[None]:
    """Verdicts lie in parts of so few windows."""
    with patch.object(parts, "_WINDOWS", windows):
        yield


def busy(story: AlertStory, minute: float, user: str = "ann", generation: int = 1) -> None:
    story.live(
        Event(minute + 0.1, user=user, generation=generation), Event(minute + 0.2, user=user, generation=generation)
    )


def confirmed(folder: Path) -> None:
    story = story_of(folder, BUSY)
    busy(story, 0)
    assert story.told() == []
    story.watermark(1)
    assert story.told() == [("TENTATIVE", "firing", "ann", "08:00", "08:00")]
    story.watermark(2)
    assert story.told() == [("TENTATIVE", "resolved", "ann", "08:00", "08:00")]
    story.batch(1, 2)
    assert story.told() == [("CONFIRMED", "resolved", "ann", "08:00", "08:00")]
    assert story.told() == []
    assert story.settled() == story.backtested() != []
    assert story.receipts() == 3


def early(folder: Path) -> None:
    story = story_of(folder, BUSY.replace("to:", "early: 5s, to:"))
    busy(story, 0)
    story.deliver()
    story.wait(5)
    assert story.told() == [("TENTATIVE", "firing", "ann", "08:00", "08:00")]


def withdrawn(folder: Path) -> None:
    """What was too much beside what batch knew isn't, once batch knows more."""
    story = story_of(
        folder,
        "{busy: {window: 1m, expr: 'n > 2 * coalesce(baseline.n, 1)', baseline: {season: none, periods: 1}, to: log}}",
    )
    story.live(*(Event(1 + n / 10) for n in range(3)))
    story.watermark(2)
    assert story.told() == [("TENTATIVE", "firing", "ann", "08:01", "08:01")]
    story.too_late(*(Event(n / 10) for n in range(3)))
    story.batch(1, 2)
    assert story.told() == [("WITHDRAWN", "resolved", "ann", "08:01", "08:01")]
    assert story.settled() == story.backtested() == []


def raised_late(folder: Path) -> None:
    story = story_of(folder, BUSY)
    story.live(Event(0.1))
    story.watermark(2)
    story.deliver()
    story.too_late(Event(0.2))
    story.batch(1, 2)
    assert story.told() == [("RAISED_LATE", "resolved", "ann", "08:00", "08:00")]
    assert story.settled() == story.backtested() != []


USUAL = "{busy: {window: 1m, expr: n > baseline.n, baseline: {season: none, periods: 1}, to: log}}"


def what_batch_learns_of_before_is_judged_again(folder: Path) -> None:
    """A settled window is judged anew when a window that it is compared with changes."""
    story = story_of(folder, USUAL)
    story.live(Event(0.1), Event(1.1), Event(1.2))
    story.watermark(2)
    story.batch(1, 2)
    assert [told[0] for told in story.told()] == ["RAISED_LATE"]
    story.too_late(*(Event(n / 10, generation=2) for n in range(4)))
    story.batch(2, 2)
    assert story.told() == [("WITHDRAWN", "resolved", "ann", "08:01", "08:01")]
    assert story.settled() == story.backtested() == []


def what_is_usual_is_of_batch_alone(folder: Path) -> None:
    story = story_of(folder, USUAL)
    story.live(Event(0.1), Event(1.1), Event(1.2))
    story.watermark(2)
    assert story.told() == []


def who_was_overtaken_writes_nothing(folder: Path) -> None:
    story = story_of(folder, BUSY)
    busy(story, 0)
    story.watermark(1)
    story.deliver()
    busy(story, 0, "bob")
    slow = Decider(story.store, story.compiled)
    over = BEGIN + MINUTE
    expand_due(story.store.database, story.compiled.definition, over, story.now)
    seen = slow._read(slow._rules[0], over, story.now)
    assert seen is not None
    story.deliver()
    receipts = story.receipts()
    slow._write(slow._rules[0], seen, story.now)
    story.deliver()
    assert (story.receipts(), len(story.episodes())) == (receipts, 2)


def what_another_wrote_is_read_again(folder: Path) -> None:
    """A process that remembers what it has written, beside another that goes on from there."""
    story = _remembered(folder)
    busy(story, 1, "bob", 2)
    story.watermark(2)
    assert Decider(story.store, story.compiled).drain(story.now) == 2
    assert [told[:3] for told in story.told()] == [("RAISED_LATE", "resolved", "ann"), ("TENTATIVE", "firing", "bob")]
    story.batch(2, 2)
    assert [told[:3] for told in story.told()] == [("CONFIRMED", "firing", "bob")]
    assert story.settled() == story.backtested()
    assert story.states() == [("RAISED_LATE", '["ann"]', 0.0), ("CONFIRMED", '["bob"]', 1.0)]


def _remembered(folder: Path) -> AlertStory:
    """A story whose deliverer remembers a rule: it has judged a window whole, and one more time some of its keys."""
    story = story_of(folder, BUSY)
    busy(story, 0)
    story.watermark(1)
    story.batch(1, 1)
    assert [told[:3] for told in story.told()] == [("RAISED_LATE", "firing", "ann")]
    story.live(Event(0.6, user="cid", generation=2))
    assert story.told() == []
    return story


def time_alone_ends_what_is_remembered(folder: Path) -> None:
    story = _remembered(folder)
    story.watermark(2)
    assert [told[:2] for told in story.told()] == [("RAISED_LATE", "resolved")]


def a_rule_that_returns_begins_anew(folder: Path) -> None:
    """It was gone for a while: nothing of it has an identity that was there before."""
    story = story_of(folder, BUSY)
    busy(story, 0)
    story.watermark(1)
    (before,) = story.deliver()
    story.change("{quiet: {window: 1m, expr: n < 0, to: log}}")
    story.deliver()
    assert [row.state for row in story.episodes()] == ["SUPERSEDED"]
    story.change(BUSY)
    story.deliver()
    busy(story, 1)
    story.watermark(2)
    (after,) = story.deliver()
    assert (after["state"], after["status"], after["since"][11:16]) == ("TENTATIVE", "firing", "08:01")
    assert before["episode"] != after["episode"]


def silenced(folder: Path) -> None:
    story = story_of(folder, BUSY)
    silence(story.store, "visits", story.now, story.now + 60 * SECOND, rule="busy", by="me", note="known")
    busy(story, 0)
    story.watermark(1)
    assert story.told() == []
    story.wait(61)
    busy(story, 1, "bob")
    story.watermark(2)
    assert story.told() == [("TENTATIVE", "firing", "bob", "08:01", "08:01")]


def merged(folder: Path) -> None:
    story = story_of(folder, BUSY)
    busy(story, 0)
    story.live(Event(1.1))
    busy(story, 2)
    story.watermark(4)
    assert [told[0] for told in story.told()] == ["TENTATIVE"] * 2
    story.too_late(Event(1.2))
    story.batch(1, 4)
    assert story.told() == [
        ("CONFIRMED", "resolved", "ann", "08:00", "08:02"),
        ("MERGED", "resolved", "ann", "08:02", "08:02"),
    ]
    first, second = story.episodes()
    assert (second.into, story.settled() == story.backtested()) == (first.id, True)


def superseded(folder: Path) -> None:
    story = story_of(folder, BUSY)
    busy(story, 0)
    story.watermark(1)
    story.deliver()
    story.change(BUSY.replace("n >= 2", "n >= 3"))
    assert story.told() == [("SUPERSEDED", "resolved", "ann", "08:00", "08:00")]
    story.batch(1, 2)
    assert story.told() == []
    assert story.settled() == story.backtested() == []


def what_batch_settled_stays_when_a_rule_changes(folder: Path) -> None:
    """Also once the key is judged again, and the old rule is back."""
    story = story_of(folder, BUSY)
    busy(story, 0)
    story.watermark(2)
    story.batch(1, 2)
    assert [told[0] for told in story.told()] == ["RAISED_LATE"]
    for minute, expr in ((3, "n >= 3"), (6, "n >= 2")):
        story.change(BUSY.replace("n >= 2", expr))
        story.watermark(minute)
        story.deliver()
        story.live(*(Event(minute + 0.2, generation=minute) for _ in range(3)))
        story.watermark(minute + 2)
        assert [told[:2] for told in story.told()] == [("TENTATIVE", "resolved")]
        story.batch(minute, minute + 2)
        assert [told[0] for told in story.told()] == ["CONFIRMED"]
        assert story.settled() == story.backtested() != []
    assert [state for state, _, _ in story.states()] == ["RAISED_LATE", "CONFIRMED", "CONFIRMED"]


def a_changed_rule_holds_from_the_window_that_is_open(folder: Path) -> None:
    story = story_of(folder, BUSY)
    busy(story, 0)
    busy(story, 1)
    story.watermark(1.5)
    story.deliver()
    story.change(BUSY.replace("n >= 2", "n >= 1"))
    story.deliver()
    story.watermark(2)
    assert ("TENTATIVE", "firing", "ann", "08:01", "08:01") in story.told()
    story.batch(1, 2)
    story.deliver()
    assert story.settled() == story.backtested() != []


def a_shadow_is_judged_and_not_sent(folder: Path) -> None:
    story = story_of(folder, BUSY.replace("to:", "shadow: true, to:"))
    busy(story, 0)
    story.watermark(1)
    assert story.told() == []
    assert story.states() == [("TENTATIVE", '["ann"]', 0.0)]


def inhibited(folder: Path) -> None:
    rules = "{all: {window: 1m, expr: n >= 3, to: log}, busy: {window: 1m, expr: n >= 2, inhibited_by: all, to: log}}"
    story = story_of(folder, rules)
    busy(story, 0)
    story.live(Event(0.3))
    busy(story, 0, "bob")
    story.watermark(1)
    assert sorted((m["rule"], m["key"]["user"]) for m in story.deliver()) == [("all", "ann"), ("busy", "bob")]


def what_inhibits_is_decided_first(folder: Path) -> None:
    rules = "{busy: {window: 1m, expr: n >= 2, inhibited_by: many, to: log}, many: {window: 1m, expr: n >= 3, to: log}}"
    story = story_of(folder, rules)
    story.live(Event(0.1), Event(0.2), Event(0.3))
    story.watermark(1)
    assert [m["rule"] for m in story.deliver()] == ["many"]


GROUPED = BUSY.replace("to:", "group_by: [], group_wait: 10s, group_interval: 60s, to:")


def grouped(folder: Path) -> None:
    """Alerts of all users in one message: the first waits ten seconds, what is new then a minute."""
    story = story_of(folder, GROUPED)
    busy(story, 0)
    busy(story, 0, "bob")
    story.watermark(1)
    assert story.deliver() == []
    story.wait(9)
    assert story.deliver() == []
    story.wait(1)
    (message,) = story.deliver()
    assert (message["kind"], message["group"], message["status"], message["revision"]) == (
        "alert_group",
        {},
        "firing",
        1,
    )
    assert [(a["key"]["user"], a["status"]) for a in message["alerts"]] == [("ann", "firing"), ("bob", "firing")]
    assert message["common_labels"] == {"alertname": "busy", "definition": "visits", "severity": "warning"}
    story.watermark(2)
    story.wait(59)
    assert story.deliver() == []
    story.wait(1)
    (message,) = story.deliver()
    assert (message["status"], message["revision"], len(message["alerts"])) == ("resolved", 2, 2)
    assert story.deliver() == []


def grouped_by_a_field(folder: Path) -> None:
    story = story_of(folder, GROUPED.replace("group_by: []", "group_by: user"))
    busy(story, 0)
    busy(story, 0, "bob")
    story.watermark(1)
    story.deliver()
    story.wait(10)
    assert [m["group"] for m in story.deliver()] == [{"user": "ann"}, {"user": "bob"}]


def superseded_in_a_group(folder: Path) -> None:
    """What waits for its group is told, and then that it is superseded, by the new version's rule."""
    story = story_of(folder, GROUPED)
    busy(story, 0)
    story.watermark(1)
    story.deliver()
    story.change(GROUPED.replace("n >= 2", "n >= 3"))
    story.wait(10)
    (message,) = story.deliver()
    assert [a["state"] for a in message["alerts"]] == ["TENTATIVE", "SUPERSEDED"]


WAITS = BUSY.replace("to:", "partial: wait, to:")


def what_lacks_late_events_waits(folder: Path) -> None:
    """A window of which late events wait for batch can't be judged until batch has them; others can."""
    story = story_of(folder, WAITS)
    story.too_late(Event(0.3))
    busy(story, 0)
    busy(story, 1)
    story.watermark(2)
    assert story.told() == [("TENTATIVE", "firing", "ann", "08:01", "08:01")]
    story.batch(1, 2)
    assert sorted(story.told()) == [
        ("CONFIRMED", "firing", "ann", "08:00", "08:01"),
    ]
    assert story.settled() == story.backtested() != []


def what_is_settled_waits_no_longer(folder: Path) -> None:
    """With open dead letters nothing is judged but by batch, once it has all; then also what didn't change."""
    story = story_of(folder, WAITS)
    story.dead_letter()
    busy(story, 0)
    story.watermark(1)
    assert story.told() == []
    story.batch(1, 0)
    assert story.told() == []
    story.live(Event(9, generation=2))
    story.batch(2, 1)
    assert story.told() == [("RAISED_LATE", "firing", "ann", "08:00", "08:00")]
    assert story.settled() == story.backtested() != []


def no_data_of_what_is_partial(folder: Path) -> None:
    """Where anything may be missing, a window without events isn't one without data."""
    rule = "{gone: {window: 1m, expr: n >= 100, no_data: alert, partial: wait, to: log}}"
    story = story_of(folder, rule)
    story.live(Event(0.1))
    story.watermark(1)
    story.deliver()
    story.dead_letter()
    story.watermark(3)
    assert story.told() == []
    story.batch(1, 3)
    assert story.told() == [("RAISED_LATE", "firing", "ann", "08:01", "08:02")]


STEADY = (
    "{busy: {window: 1m, expr: n > baseline.n, "
    "baseline: {season: none, periods: 2, min_periods: 1, without_alerts: true}, to: log}}"
)


def windows_with_alerts_arent_compared_with(folder: Path) -> None:
    """One, three, two: two is more than one, and three, which was too much, isn't asked."""
    story = story_of(folder, STEADY)
    story.live(*(Event(minute + n / 10) for minute, count in enumerate((1, 3, 2)) for n in range(count)))
    story.watermark(3)
    story.batch(1, 3)
    assert story.told() == [("RAISED_LATE", "firing", "ann", "08:01", "08:02")]
    assert story.settled() == story.backtested() != []


def what_is_left_out_changes_what_is_usual(folder: Path) -> None:
    """What batch learns of a window decides whether the next one is left out of what is usual after it."""
    story = story_of(folder, STEADY)
    story.live(*(Event(minute + n / 10) for minute, count in enumerate((1, 3, 3, 4)) for n in range(count)))
    story.watermark(4)
    story.batch(1, 4)
    assert story.told() == [("RAISED_LATE", "firing", "ann", "08:01", "08:02")]
    assert story.settled() == story.backtested() != []
    story.too_late(*(Event(n / 10, generation=2) for n in range(5)))
    story.batch(2, 4)
    story.deliver()
    assert [minutes(each.since) for each in story.settled()] == [3]
    assert story.settled() == story.backtested()


def windows_without_data(folder: Path) -> None:
    story = story_of(folder, "{gone: {window: 1m, expr: n >= 100, no_data: alert, for: 1m, forget: 5m, to: log}}")
    story.live(Event(0.1))
    story.watermark(2)
    assert story.told() == []
    story.watermark(3)
    assert story.told() == [("TENTATIVE", "firing", "ann", "08:01", "08:02")]
    story.watermark(7)
    assert story.told() == [("TENTATIVE", "resolved", "ann", "08:01", "08:05")]
    story.batch(1, 7)
    assert story.told() == [("CONFIRMED", "resolved", "ann", "08:01", "08:05")]
    assert story.settled() == story.backtested() != []


def an_alert_goes_on_from_part_to_part(folder: Path) -> None:
    """It fires in one part of time, goes on through others, at which no verdict before is read, and ends."""
    with parts_of(2):
        story = story_of(folder, BUSY)
        for minute in range(7):
            busy(story, minute, generation=minute + 1)
            busy(story, minute, "bob", minute + 1)
            story.watermark(minute + 1)
            story.deliver()
            story.batch(minute + 1, minute + 1)
            story.deliver()
        assert story.states() == [("CONFIRMED", '["ann"]', 0.0), ("CONFIRMED", '["bob"]', 0.0)]
        story.watermark(8)
        assert story.told() == [
            ("CONFIRMED", "resolved", "ann", "08:00", "08:06"),
            ("CONFIRMED", "resolved", "bob", "08:00", "08:06"),
        ]
        assert story.settled() == story.backtested() != []


def what_isnt_settled_is_kept_through_parts(folder: Path) -> None:
    """An alert that live alone has raised waits for batch, however long ago it was."""
    with parts_of(2):
        story = story_of(folder, BUSY)
        story.live(Event(0.1))
        story.watermark(1)
        story.batch(1, 1)
        busy(story, 1, generation=2)
        for minute in range(2, 12):
            story.watermark(minute)
            busy(story, minute, "bob", 2)
            story.deliver()
        story.batch(2, 10)
        assert ("CONFIRMED", "resolved", "ann", "08:01", "08:01") in story.told()
        assert story.settled() == story.backtested() != []


def what_batch_corrects_long_after(folder: Path) -> None:
    """Late events of a part that nobody reads any more make two alerts one, and begin another."""
    with parts_of(2):
        story = story_of(folder, BUSY)
        for minute in (1, 3, 4, 5, 9):
            busy(story, minute)
        story.watermark(12)
        story.batch(1, 12)
        story.deliver()
        assert [minutes(each.since) for each in story.settled()] == [1, 3, 9]
        story.too_late(Event(2.1, generation=2), Event(2.2, generation=2), Event(7.1, generation=2))
        story.too_late(Event(7.2, generation=2))
        story.live(Event(12.1, generation=2))
        story.batch(2, 12)
        assert sorted(story.told()) == [
            ("MERGED", "resolved", "ann", "08:03", "08:05"),
            ("RAISED_LATE", "resolved", "ann", "08:07", "08:07"),
        ]
        assert [minutes(each.since) for each in story.settled()] == [1, 7, 9]
        assert story.settled() == story.backtested()


def messages_say_what_was_decided_by_what(folder: Path) -> None:
    story = story_of(
        folder,
        """{busy: {window: 1m, expr: n > baseline.n.high, severity: page, labels: {team: web},
      annotations: {summary: "{{ key.user }} has {{ n }}, usually {{ baseline.n }}"},
      baseline: {season: none, periods: 2, min_periods: 1, band: 2, min_spread: 1}, to: log}}""",
    )
    story.live(Event(0.1))
    story.watermark(1)
    story.batch(1, 1)
    for n in range(4):
        story.live(Event(1 + n / 10, generation=2))
    story.watermark(2)
    (message,) = story.deliver()
    assert message["annotations"] == {"summary": "ann has 4, usually 1"}
    assert message["labels"] == {
        "user": "ann",
        "alertname": "busy",
        "definition": "visits",
        "severity": "page",
        "team": "web",
    }
    receipt = message["receipt"]
    assert receipt["values"] == {"n": 4}
    assert receipt["baseline"] == {
        "baseline.n": 1.0, "baseline.n.spread": 1.0, "baseline.n.low": -1.0, "baseline.n.high": 3.0,
        "baseline.n.periods": 1.0,
    }  # fmt: skip
    assert (receipt["events"], receipt["live_events"], receipt["batch_run"]) == (4, 4, "B1")


CASES = (
    confirmed,
    early,
    withdrawn,
    raised_late,
    what_batch_learns_of_before_is_judged_again,
    what_is_usual_is_of_batch_alone,
    who_was_overtaken_writes_nothing,
    what_another_wrote_is_read_again,
    time_alone_ends_what_is_remembered,
    a_rule_that_returns_begins_anew,
    silenced,
    merged,
    superseded,
    what_batch_settled_stays_when_a_rule_changes,
    a_changed_rule_holds_from_the_window_that_is_open,
    a_shadow_is_judged_and_not_sent,
    inhibited,
    what_inhibits_is_decided_first,
    grouped,
    grouped_by_a_field,
    superseded_in_a_group,
    what_lacks_late_events_waits,
    what_is_settled_waits_no_longer,
    no_data_of_what_is_partial,
    windows_with_alerts_arent_compared_with,
    what_is_left_out_changes_what_is_usual,
    windows_without_data,
    an_alert_goes_on_from_part_to_part,
    what_isnt_settled_is_kept_through_parts,
    what_batch_corrects_long_after,
    messages_say_what_was_decided_by_what,
)
"""Each is given an empty folder, and fails where alerts aren't told as they should be."""
