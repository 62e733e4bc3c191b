"""Why a generation isn't sealed, in one line a lane."""

from __future__ import annotations

import pytest

from tandem.journal.index import LaneGap, LaneHold
from tandem.output.status_tables import _held
from tandem.serving.installation.journal_state import HeldGeneration

RUN = "000001-ab"


@pytest.mark.parametrize(
    ("lane", "line"),
    [
        pytest.param(
            LaneHold(RUN, 0, 3, 7),
            "generation 7 waits for 1m00s to be sealed by lane 000001-ab/0000 (3 segments, open from generation 7)",
            id="a lane that doesn't write",
        ),
        pytest.param(
            LaneHold(RUN, 0, 9, 7, LaneGap(RUN, 0, 10, 10, 7)),
            "generation 7 waits for 1m00s: segment 10 is missing in lane 000001-ab/0000, segment 11 is there; put it back",  # noqa: E501
            id="a segment that is missing",
        ),
    ],
)
def test_the_line_says_why(lane: LaneHold, line: str) -> None:
    (found,) = _held([HeldGeneration(7, 0, (lane, lane))], 60_000_000)
    assert found.startswith(line), found
