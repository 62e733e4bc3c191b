"""A time line of runs and publications: when each live run wrote, when batch ran, when publications changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.certificate import time_text

__all__ = ["WIDTH", "TimeLine", "TimeMark", "time_line"]

WIDTH: Final = 1_000
"""Width of the line."""
_LEAST: Final = 4
"""Least width of a mark, so that it is visible."""
_RUNS: Final = 12


@dataclass(frozen=True, slots=True)
class TimeMark:
    """A mark on the line: from `x`, `width` wide, in its own row."""

    row: int
    x: float
    width: float
    kind: str
    """'live', 'batch' or 'published'."""
    text: str


@dataclass(frozen=True, slots=True)
class TimeLine:
    """All marks, over [start, end] as texts."""

    start: str
    end: str
    rows: int
    marks: tuple[TimeMark, ...]


def time_line(
    live_runs: Sequence[Mapping[str, Any]],
    batch_runs: Sequence[Mapping[str, Any]],
    published: Sequence[tuple[int, int]],
) -> TimeLine | None:
    """The time line of runs in a status report and of publications (number, microseconds UTC), newest first; None
    without any.
    """
    live = [(run["started_at"], run["updated_at"], f"live run {run['run']}") for run in live_runs[:_RUNS]]
    batch = [(run["created_at"], run["created_at"], f"batch run {run['id']}") for run in batch_runs]
    served = [(at, at, f"publication {number}") for number, at in published]
    times = [time for some in (live, batch, served) for start, end, _ in some for time in (start, end)]
    if not times:
        return None
    low, high = min(times), max(times)
    scale = (WIDTH - _LEAST) / max(high - low, 1)

    def mark(row: int, start: int, end: int, kind: str, text: str) -> TimeMark:
        shown = f"{text}: {time_text(start)}" + (f" to {time_text(end)}" if end > start else "")
        return TimeMark(row, round((start - low) * scale, 1), round(max((end - start) * scale, _LEAST), 1), kind, shown)

    marks = [mark(row, *each[:2], "live", each[2]) for row, each in enumerate(live)]
    marks += [mark(len(live), *each[:2], "batch", each[2]) for each in batch]
    marks += [mark(len(live) + 1, *each[:2], "published", each[2]) for each in served]
    return TimeLine(time_text(low), time_text(high), len(live) + 2, tuple(marks))
