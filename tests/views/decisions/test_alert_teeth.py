"""Each rule of decisions is broken on purpose, and a test of alerts must find it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from without_runner import alert_cases as alerts

from tandem.schemas.rules import settling
from tandem.views.decisions import draining, judging, progress, writing


def _newest(left: Any, episode: Any) -> Any:
    return next((each for each in reversed(left) if settling._overlap(each, episode)), None)


def _with_live(scope: Any, **changes: Any) -> Any:
    return scope


BREAKS: list[Any] = [
    pytest.param(draining, "dependents", lambda *_: [], alerts.what_batch_learns_of_before_is_judged_again,
                 id="what-is-compared-with-a-changed-window-isnt-judged-again"),
    pytest.param(judging, "replace", _with_live, alerts.what_is_usual_is_of_batch_alone, id="usual-by-live"),
    pytest.param(settling, "_oldest", _newest, alerts.merged, id="the-newest-identity-is-claimed"),
    pytest.param(settling, "_oldest", lambda *_: None, alerts.confirmed, id="no-identity-is-claimed"),
    pytest.param(settling, "_unclaimed", lambda *_: [], alerts.withdrawn, id="nothing-is-withdrawn"),
    pytest.param(settling, "_unclaimed", lambda *_: [], alerts.merged, id="nothing-is-merged"),
    pytest.param(writing, "put_records", lambda *_: None, alerts.confirmed, id="nothing-is-put-into-the-outbox"),
    pytest.param(writing, "quiet_because", lambda *_: None, alerts.silenced, id="silences-are-passed-over"),
    pytest.param(writing, "quiet_because", lambda *_: None, alerts.inhibited, id="nothing-inhibits"),
    pytest.param(draining, "supersede", lambda *_: None, alerts.confirmed, id="no-rule-begins"),
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
