"""Each rule of decisions is broken on purpose, and a test of alerts must find it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from without_runner import alert_cases as alerts

from tandem.schemas.rules import settling
from tandem.views.decisions import choosing, draining, judging, progress, writing
from tandem.views.decisions.sending import groups, records


def _newest(left: Any, episode: Any) -> Any:
    return next((each for each in reversed(left) if settling._overlap(each, episode)), None)


def _with_live(scope: Any, **changes: Any) -> Any:
    return scope


_compared_with = choosing._compared_with


def _first_hop(rule: Any, changed: Any, last: Any) -> Any:
    """Only what is compared with the windows that changed themselves, which come as a list."""
    return _compared_with(rule, changed, last) if isinstance(changed, list) else []


BREAKS: list[Any] = [
    pytest.param(draining, "dependents", lambda *_: [], alerts.what_batch_learns_of_before_is_judged_again,
                 id="what-is-compared-with-a-changed-window-isnt-judged-again"),
    pytest.param(judging, "replace", _with_live, alerts.what_is_usual_is_of_batch_alone, id="usual-by-live"),
    pytest.param(settling, "_oldest", _newest, alerts.merged, id="the-newest-identity-is-claimed"),
    pytest.param(settling, "_oldest", lambda *_: None, alerts.confirmed, id="no-identity-is-claimed"),
    pytest.param(settling, "_unclaimed", lambda *_: [], alerts.withdrawn, id="nothing-is-withdrawn"),
    pytest.param(settling, "_unclaimed", lambda *_: [], alerts.merged, id="nothing-is-merged"),
    pytest.param(records, "put_records", lambda *_: None, alerts.confirmed, id="nothing-is-put-into-the-outbox"),
    pytest.param(writing, "quiet_because", lambda *_: None, alerts.silenced, id="silences-are-passed-over"),
    pytest.param(writing, "quiet_because", lambda *_: None, alerts.inhibited, id="nothing-inhibits"),
    pytest.param(draining, "supersede", lambda *_: None, alerts.confirmed, id="no-rule-begins"),
    pytest.param(draining, "inhibiting_first", lambda rules: rules, alerts.what_inhibits_is_decided_first,
                 id="who-inhibits-is-decided-later"),
    pytest.param(records, "wait_for_group", lambda *_: None, alerts.grouped, id="groups-forget-what-waits"),
    pytest.param(groups, "_MOST", 1, alerts.grouped, id="alerts-of-a-group-come-one-by-one"),
    pytest.param(draining, "is_partial", lambda *_: False, alerts.what_lacks_late_events_waits,
                 id="what-is-partial-is-judged"),
    pytest.param(draining, "windows_not_judged", lambda *_: [], alerts.what_is_settled_waits_no_longer,
                 id="what-couldnt-be-judged-never-is"),
    pytest.param(draining, "all_is_partial", lambda *_: False, alerts.no_data_of_what_is_partial,
                 id="what-is-partial-has-no-data"),
    pytest.param(judging.UsualAnswers, "alerting", lambda self, *place: place[-1][0] < 0,
                 alerts.windows_with_alerts_arent_compared_with, id="windows-with-alerts-are-compared-with"),
    pytest.param(choosing, "_compared_with", _first_hop, alerts.what_is_left_out_changes_what_is_usual,
                 id="what-is-left-out-by-a-changed-window-isnt-judged-again"),
    pytest.param(progress.Progress, "__eq__", lambda *_: True, alerts.who_was_overtaken_writes_nothing,
                 id="who-was-overtaken-writes"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "name", "wrong", "case"), BREAKS)
def test_breaks_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, wrong: Any, case: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(place, name, wrong)
    try:
        case(tmp_path)
    except Exception:
        return
    raise AssertionError(f"{case.__name__} passes")
