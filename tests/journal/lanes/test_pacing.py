"""How far segments of a lane are apart, by its place and by how long a pull may wait."""

from __future__ import annotations

import pytest

from tandem.journal.clocks import SECOND
from tandem.journal.lanes.pacing import segment_interval


@pytest.mark.parametrize(
    ("journal", "wait", "interval"),
    [
        pytest.param("/home/journal", 0.5, SECOND // 2, id="a folder: two a second"),
        pytest.param("/home/journal", 0.025, SECOND // 40, id="a folder, answers fresher than that"),
        pytest.param("/home/journal", 0, 0, id="a folder, pulls that don't wait"),
        pytest.param("gs://bucket/journal", 0.025, SECOND // 2, id="an object store is never written more often"),
    ],
)
def test_segments_are_as_far_apart_as_freshness_allows(journal: str, wait: float, interval: int) -> None:
    assert segment_interval(journal, wait) == interval
