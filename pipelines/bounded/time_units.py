"""Whole seconds that were taken for milliseconds, or milliseconds for microseconds: all events lie in January 1970."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tandem.schemas.time.durations import DAY

__all__ = ["unit_note"]

_JANUARY: Final = 31 * DAY
_SHOWN: Final = 3


def unit_note(tiles: tuple[int, int] | None, event_time: str, files: Sequence[str]) -> str | None:
    """What to say of a batch run whose first and last tile these are; None where nothing is odd."""
    if tiles is None or tiles[0] < 0 or tiles[1] >= _JANUARY:
        return None
    names = ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
    return (
        f"all event times of {names or 'the journal'} lie in January 1970: are they seconds, or milliseconds? declare "
        f"time_format: epoch_seconds (or epoch_millis) for '{event_time}'"
    )
