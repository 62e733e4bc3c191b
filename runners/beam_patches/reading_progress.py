"""Reports the progress of an unbounded source's element, for runners that request a split.

Beam 2.77 computes a fraction from the bytes that the element has output, by the mean of sampled sizes. The fraction can
be NaN, and then a request to split raises ValueError. Prism requests a split when a bundle is slow, such as that of an
idle subscription, takes the error for one of the bundle, and ends the job. A reported fraction makes the computation
superfluous. An UnboundedSource's element is never split at a fraction anyway.
"""

from __future__ import annotations

from typing import Any, Final

from apache_beam.io import unbounded_source
from apache_beam.io.iobase import RestrictionProgress

from tandem.runners.beam_patches.known import Patch

__all__ = ["PATCH", "apply"]

PATCH: Final = Patch(
    else_would="end jobs whose source is idle",
    issue="none that is known",
    tried=("2.77.0",),
    goes_when="a progress that isn't a number is no error",
)


def apply() -> None:
    """Let the tracker of unbounded sources report a fraction. May be repeated; raises LaunchError."""
    PATCH.check()
    unbounded_source._UnboundedSourceRestrictionTracker.current_progress = _progress


def _progress(tracker: Any) -> RestrictionProgress:
    return RestrictionProgress(fraction=1.0 if tracker.current_restriction().is_done else 0.0)
