"""Until when windows are over, and until when they are settled: what decides a revision's timing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tandem.views.answers.reading.scope import Scope

__all__ = ["BEGINNING", "Clocks", "Timing", "timing_of"]

BEGINNING: Final = -(2**62)
"""Before every time."""


class Timing(IntEnum):
    """Why a revision was sent. That of a window and key never falls.

    >>> clocks = Clocks(over=120, settled=60)
    >>> print(*(timing_of(clocks, closes, None, True, False).name for closes in (60, 120, 180)))
    FINAL ON_TIME EARLY
    """

    EARLY = 0
    """Sent before the watermark passed the window's end."""
    ON_TIME = 1
    """The first since the watermark has."""
    LATE = 2
    """Changed after it."""
    FINAL = 3
    """Batch has it, and the journal's lanes had passed its end and lateness when the boundary was sealed."""
    CORRECTED = 4
    """Changed after it was final."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far events are known to be complete, microseconds UTC; and how far that has been sent before."""

    over: int
    """Windows that close by then are over."""
    settled: int
    """Windows are settled whose close and lateness are by then."""
    on_time_to: int = BEGINNING
    """All that were over by then have been sent."""
    final_to: int = BEGINNING
    """All that were settled by then have been sent as final."""

    @classmethod
    def of(cls, scope: Scope, lateness: int, over: int) -> Clocks:
        """What is served says. `lateness`: of the result; `over`: how far live is known to be written."""
        stated = BEGINNING
        if scope.complete_to is not None and (scope.boundary or scope.live_run is None):
            stated = scope.complete_to
        # Files that are complete until a time have no lateness; what their sources sent late is in them.
        waits = 0 if scope.live_run is None and not scope.boundary else lateness
        whole = scope.batch_run is not None and not scope.residue and not scope.missing
        return cls(max(over, stated), stated - waits if whole and stated != BEGINNING else BEGINNING)


def timing_of(clocks: Clocks, closes: int, last: Timing | None, changed: bool, late: bool) -> Timing | None:
    """The timing of a window's revision that closes then, None where there is nothing to send.

    `settled` is compared with `closes`, since it has the lateness taken off. `late`: events are known that it lacks.
    """
    final = closes <= clocks.settled and not late
    reached = Timing.FINAL if final else Timing.ON_TIME if closes <= clocks.over else Timing.EARLY
    if last is None:
        if reached is Timing.FINAL and closes <= clocks.final_to:
            return Timing.CORRECTED
        return Timing.LATE if reached is Timing.ON_TIME and closes <= clocks.on_time_to else reached
    if last < reached:
        return reached
    return _CHANGED[last] if changed else None


_CHANGED: Final = {
    Timing.EARLY: Timing.EARLY,
    Timing.ON_TIME: Timing.LATE,
    Timing.LATE: Timing.LATE,
    Timing.FINAL: Timing.CORRECTED,
    Timing.CORRECTED: Timing.CORRECTED,
}
"""What follows when a value changes and time has not brought anything new."""
