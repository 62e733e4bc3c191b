"""Decides a revision's timing: the times up to which windows are over, and settled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tandem.views.answers.reading.scope import Scope

__all__ = ["BEGINNING", "Clocks", "Timing", "timing_of"]

BEGINNING: Final = -(2**62)
"""Earlier than any time."""


class Timing(IntEnum):
    """The reason why a revision was sent. The timing of a window and key never falls.

    >>> clocks = Clocks(over=120, settled=60)
    >>> print(*(timing_of(clocks, closes, None, True, False).name for closes in (60, 120, 180)))
    FINAL ON_TIME EARLY
    """

    EARLY = 0
    """Sent before the watermark passed the window's end."""
    ON_TIME = 1
    """The first after the watermark passed the window's end."""
    LATE = 2
    """Changed after ON_TIME."""
    FINAL = 3
    """Batch has the window, and the journal's lanes had passed its end and lateness when the boundary was sealed."""
    CORRECTED = 4
    """Changed after FINAL."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The times up to which events are complete, microseconds UTC; and those up to which this has been sent."""

    over: int
    """Windows that close by then are over."""
    settled: int
    """Windows are settled whose close plus lateness is by then."""
    on_time_to: int = BEGINNING
    """Every window that was over by then has been sent."""
    final_to: int = BEGINNING
    """Every window that was settled by then has been sent as FINAL."""

    @classmethod
    def of(cls, scope: Scope, lateness: int, over: int) -> Clocks:
        """The clocks of a scope. `lateness`: of the result; `over`: the time up to which live is written."""
        stated = BEGINNING
        if scope.complete_to is not None and (scope.boundary or scope.live_run is None):
            stated = scope.complete_to
        # Files that are complete up to a time have no lateness: events that their sources sent late are in them.
        waits = 0 if scope.live_run is None and not scope.boundary else lateness
        whole = scope.batch_run is not None and not scope.residue and not scope.missing
        return cls(max(over, stated), stated - waits if whole and stated != BEGINNING else BEGINNING)


def timing_of(clocks: Clocks, closes: int, last: Timing | None, changed: bool, late: bool) -> Timing | None:
    """The timing of a window's revision that closes then, None where there is nothing to send.

    `settled` is compared with `closes`, since it has the lateness taken off. `late`: known late events are missing from
    it.
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
"""The next timing where only the value has changed, and no clock has passed the window."""
