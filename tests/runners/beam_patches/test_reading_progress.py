"""Beam's split of a bundle, when the progress of the element within can't be worked out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from apache_beam.io.iobase import RestrictionProgress
from apache_beam.io.unbounded_source import (
    UnboundedSource,
    _UnboundedSourceRestriction,
    _UnboundedSourceRestrictionTracker,
)
from apache_beam.runners.worker.bundle_processor import DataInputOperation

from tandem.transforms.sources import journaled as journaled_source

UNSAMPLED = math.nan
"""What Beam takes for the bytes put out before it has sampled one."""


def split(progress: RestrictionProgress, elements: int) -> Any:
    """What Beam does for a runner that asks to keep half of what is left in the first of some elements."""
    fraction = progress.with_completed(UNSAMPLED).fraction_completed
    return DataInputOperation._compute_split(0, fraction, elements, 0.5, elements)


@pytest.mark.parametrize(
    ("done", "elements", "stop"),
    [
        pytest.param(False, 1, None, id="one-element"),
        pytest.param(False, 8, 4, id="several"),
        pytest.param(True, 1, None, id="one-that-is-done"),
    ],
)
def test_a_bundle_is_split_whatever_its_bytes(done: bool, elements: int, stop: int | None) -> None:
    assert issubclass(journaled_source.JournaledSource, UnboundedSource)
    tracker = _UnboundedSourceRestrictionTracker(_UnboundedSourceRestriction(None, is_done=done))
    found = split(tracker.current_progress(), elements)
    assert (found and found[-1]) == stop


def test_beams_own_progress_still_fails() -> None:
    """When this doesn't raise any more, the repair can go."""
    with pytest.raises(ValueError, match="NaN"):
        split(RestrictionProgress(completed=0.0, remaining=1.0), 8)
