"""Each rule of decisions is broken on purpose, and a test of alerts must find it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from breaking.decision_breaks import DECISION_BREAKS
from without_runner import alert_cases as alerts

FOUND_BY: list[tuple[str, Callable[[Path], None]]] = [
    ("what-is-compared-with-a-changed-window-isnt-judged-again", alerts.what_batch_learns_of_before_is_judged_again),
    ("usual-by-live", alerts.what_is_usual_is_of_batch_alone),
    ("the-newest-identity-is-claimed", alerts.merged),
    ("no-identity-is-claimed", alerts.confirmed),
    ("what-nothing-supports-stays", alerts.withdrawn),
    ("what-nothing-supports-stays", alerts.merged),
    ("nothing-is-put-into-the-outbox", alerts.confirmed),
    ("nothing-keeps-quiet", alerts.silenced),
    ("nothing-keeps-quiet", alerts.inhibited),
    ("no-rule-begins", alerts.confirmed),
    ("who-inhibits-is-decided-later", alerts.what_inhibits_is_decided_first),
    ("groups-forget-what-waits", alerts.grouped),
    ("alerts-of-a-group-come-one-by-one", alerts.grouped),
    ("what-is-partial-is-judged", alerts.what_lacks_late_events_waits),
    ("what-couldnt-be-judged-never-is", alerts.what_is_settled_waits_no_longer),
    ("what-is-partial-has-no-data", alerts.no_data_of_what_is_partial),
    ("windows-with-alerts-are-compared-with", alerts.windows_with_alerts_arent_compared_with),
    ("what-is-left-out-by-a-changed-window-isnt-judged-again", alerts.what_is_left_out_changes_what_is_usual),
    ("verdicts-that-changed-arent-written", alerts.what_another_wrote_is_read_again),
    ("what-stands-before-a-part-isnt-written", alerts.an_alert_goes_on_from_part_to_part),
    ("what-isnt-settled-is-cut-off", alerts.what_isnt_settled_is_kept_through_parts),
    ("what-is-remembered-is-believed", alerts.what_another_wrote_is_read_again),
    ("time-changes-nothing-that-is-remembered", alerts.time_alone_ends_what_is_remembered),
    ("a-rule-that-is-gone-is-forgotten", alerts.a_rule_that_returns_begins_anew),
    ("what-an-earlier-version-left-is-judged-again", alerts.what_batch_settled_stays_when_a_rule_changes),
    ("who-was-overtaken-writes", alerts.who_was_overtaken_writes_nothing),
]


@pytest.mark.parametrize(("name", "case"), FOUND_BY, ids=lambda each: getattr(each, "__name__", each))
def test_breaks_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, case: Callable[[Path], None]
) -> None:
    DECISION_BREAKS[name](monkeypatch)
    try:
        case(tmp_path)
    except Exception:
        return
    raise AssertionError(f"{case.__name__} passes")


def test_each_break_is_found_by_a_story() -> None:
    assert {name for name, _ in FOUND_BY} == set(DECISION_BREAKS)
