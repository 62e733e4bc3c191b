"""The end of a bundle isn't waited for: Beam samples what a step does in a thread that it joins there."""

from __future__ import annotations

from typing import Final

from apache_beam.runners.worker import statesampler

__all__ = ["end_bundles_promptly"]

_PERIOD_MS: Final = 10


def end_bundles_promptly() -> None:
    """For this process: sample every 10 ms instead of up to every 200 ms.

    The thread sleeps without regard to the bundle, so the end of a bundle that took a second waits a tenth of one on
    average, and with it whatever comes after the bundle. Beam has no option for the period.
    """
    made = statesampler.StateSampler.__init__
    if made.__defaults__ == (statesampler.DEFAULT_SAMPLING_PERIOD_MS,):
        made.__defaults__ = (_PERIOD_MS,)
