"""Warns of event times that are likely in another unit than the definition's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tandem.schemas.time.units import UNIT_QUESTION

__all__ = ["unit_notes"]

_SHOWN: Final = 3


def unit_notes(early: Sequence[tuple[str, int]], event_time: str) -> Iterator[str]:
    """A line for each of the files with most event times in January 1970, and one for the other files.

    `early` has pairs of path and number, the path '' for the journal.
    """
    remedy = f"declare time_format: epoch_seconds (or epoch_millis) for '{event_time}'"
    ordered = sorted(early, key=lambda one: (-one[1], one[0]))
    for path, count in ordered[:_SHOWN]:
        times = "1 event time" if count == 1 else f"{count:,} event times"
        lie = "lies" if count == 1 else "lie"
        yield f"{times} of {path or 'the journal'} {lie} {UNIT_QUESTION} {remedy}"
    if rest := ordered[_SHOWN:]:
        yield f"{sum(count for _, count in rest):,} event times of {len(rest)} more files lie there as well"
