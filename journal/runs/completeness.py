"""The completeness of a journal: the watermark of its lanes when a generation was sealed."""

from __future__ import annotations

from tandem.journal.index import JournalIndex
from tandem.journal.lanes.watermarks import lowest

__all__ = ["complete_to"]


def complete_to(index: JournalIndex, source: str, generation: int) -> int | None:
    """Time (µs UTC) before which no event of a source version was expected after `generation`; None: unknown.

    That is the lowest watermark that its lanes had stored when the generation was sealed: of the newest run that could
    write to it, and of lanes of earlier runs that weren't sealed for ever by then. Events that come after it
    nevertheless are late in every lane that continues. The index must have been refreshed.
    """
    ends = index.lane_ends(generation)
    newest = max((end.run for end in ends), default="")
    parts = [end.watermarks for end in ends if end.run == newest or not end.finished]
    return lowest(parts, [source])[source]
