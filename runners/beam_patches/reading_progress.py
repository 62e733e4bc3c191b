"""How far an unbounded source's element is, for runners that ask it to split.

Beam 2.77 works out a fraction from the bytes that the element has put out, by the mean of those that it sampled. That
can be NaN, and then a request to split raises ValueError. Prism asks for a split when a bundle takes its time, as that
of an idle subscription does, takes the error for one of the bundle, and ends the job. With a fraction that is given
there is nothing to work out. An UnboundedSource's element is never split at a fraction anyway.
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
    """Let the tracker of unbounded sources report a fraction. May be called again; raises LaunchError."""
    PATCH.check()
    unbounded_source._UnboundedSourceRestrictionTracker.current_progress = _progress


def _progress(tracker: Any) -> RestrictionProgress:
    return RestrictionProgress(fraction=1.0 if tracker.current_restriction().is_done else 0.0)
