"""Alerts told one after the other, as `alert_cases` has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from without_runner.alert_cases import CASES, busy, story_of

from tandem.views.answers.reading.rows import span_rows, tile_rows
from tandem.views.decisions.judging import window_answers


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_alerts(case: Callable[[Path], None], tmp_path: Path) -> None:
    case(tmp_path)


def test_what_windows_are_compared_with_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty windows, each compared with the three before it: once what they are, once what is usual."""
    read: list[Any] = []

    def counted(rows: Callable[..., Any]) -> Callable[..., Any]:
        def reads(connection: Any, scope: Any, *place: Any) -> Any:
            read.append(place)
            return rows(connection, scope, *place)

        return reads

    monkeypatch.setattr(window_answers, "span_rows", counted(span_rows))
    monkeypatch.setattr(window_answers, "tile_rows", counted(tile_rows))
    rule = "{r: {window: 1m, expr: n > baseline.n, baseline: {season: none, periods: 3, min_periods: 1}, to: log}}"
    story = story_of(tmp_path, rule)
    for minute in range(30):
        busy(story, minute)
    story.watermark(30)
    story.deliver()
    story.batch(1, 30)
    story.deliver()
    assert story.settled() == story.backtested()
    assert 0 < len(read) <= 8, read
