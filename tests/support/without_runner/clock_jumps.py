"""Wall clocks that jump, backwards too, as an administrator or a time server lets them."""

from __future__ import annotations

from tandem.journal.clocks import ManualClock

__all__ = ["set_wall"]


def set_wall(clock: ManualClock, wall: int) -> None:
    """Set the wall clock to microseconds; the other one stays."""
    clock._wall = wall
