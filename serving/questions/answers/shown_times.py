"""Formats times for tables, from microseconds since 1970-01-01 UTC."""

from __future__ import annotations

from tandem.serving.questions.selection.instants import time_in

__all__ = ["ago_text", "short_time"]


def short_time(time: int | None, *, seconds: bool = False, zone: str = "UTC") -> str:
    """ISO 8601 in a zone, cut to whole `seconds` if wanted; '-' for None."""
    if time is None:
        return "-"
    return time_in(time - time % 1_000_000 if seconds else time, zone)


def ago_text(duration: int) -> str:
    """A duration in microseconds, rounded: `0s`, `47s`, `3m12s`, `5h07m`, `3d04h`."""
    seconds = max(duration, 0) // 1_000_000
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86_400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86_400}d{seconds % 86_400 // 3600:02d}h"
