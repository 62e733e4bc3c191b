"""Shortens the end of a bundle: Beam waits there for the thread that samples its steps.

That thread sleeps up to 200 ms without regard to the bundle, so the end of a bundle that took a second waits a tenth of
one on average, and with it whatever comes after the bundle. Beam has no option for the period.
"""

from __future__ import annotations

from typing import Final

from apache_beam.runners.worker import statesampler

from tandem.runners.beam_patches.known import Patch

__all__ = ["PATCH", "apply"]

PATCH: Final = Patch(
    else_would="wait up to 200 ms at the end of each bundle",
    issue="https://github.com/apache/beam/pull/5466",
    tried=("2.77.0",),
    goes_when="the sampler's thread is woken up to be joined, or its period is an option",
)
_PERIOD_MS: Final = 10


def apply() -> None:
    """Sample every 10 ms in this process. May be called again; raises LaunchError for an unknown version of Beam."""
    PATCH.check()
    made = statesampler.StateSampler.__init__
    if made.__defaults__ == (statesampler.DEFAULT_SAMPLING_PERIOD_MS,):
        made.__defaults__ = (_PERIOD_MS,)
