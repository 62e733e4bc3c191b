"""Windows of event time, aligned to 1970-01-01 UTC; ends are exclusive, all in microseconds."""

from __future__ import annotations

from schemas.errors import UserError

__all__ = ["check_span", "window_at"]


def window_at(at: int, size: int, every: int | None = None) -> tuple[int, int]:
    """(start, end) of the current window at an instant: the one with the earliest end after `at`.

    Ends lie on multiples of `every`. Without it, or with `every` equal to `size`, windows are fixed, and this
    is the one that holds `at`. Raises UserError unless both are positive.
    """
    step = size if every is None else every
    if size <= 0 or step <= 0:
        raise UserError(f"a window needs a positive size and step, found {size} and {step} microseconds")
    end = (at // step + 1) * step
    return end - size, end


def check_span(start: int, end: int, tile: int, step: int | None = None) -> None:
    """Raise UserError unless [start, end) is of whole tiles, and of whole steps of whole tiles."""
    if start >= end:
        raise UserError(f"a window ends after it starts, found start {start} and end {end}")
    for name, time in (("start", start), ("end", end), ("step", step)):
        if time is not None and time % tile:
            raise UserError(f"{name} {time} isn't a multiple of the tile of {tile} microseconds")
    if step is not None and (step <= 0 or (end - start) % step):
        raise UserError(f"{end - start} microseconds aren't a whole number of steps of {step}")
