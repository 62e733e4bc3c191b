"""What the status says of runs beyond their counts."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.schemas.time.durations import DAY
from tandem.views.report import status_report


@pytest.mark.parametrize(("day", "early"), [(0, 3), (20, 3), (30, 3), (31, 0), (-1, 0), (20_000, 0)])
def test_times_in_january_1970_are_counted(bench: Any, day: int, early: int) -> None:
    bench.store.live.start("v1", "L1", journal="j")
    bench.live("L1", 1, "a", 3, tile=day * DAY)
    bench.batch("B1", 1, [(1, "a", 3)], tile=day * DAY)
    bench.store.publishing.publish("orders", "v1", "B1", "L1")
    report = status_report(bench.store, "orders")
    assert [run["early"] for run in report["live_runs"]] == [early]
    assert report["batch_early"] is bool(early)
