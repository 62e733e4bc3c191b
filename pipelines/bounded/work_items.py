"""Divides the input of a plan into items of work for a runner's workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tandem.formats.files.reading import split
from tandem.journal.index import SegmentRef
from tandem.pipelines.bounded.plan import Plan
from tandem.schemas.definition.loading import Source
from tandem.transforms.batch.work import FileWork, SegmentWork, Work

__all__ = ["PIECE_BYTES", "unpacked", "work_items"]

PIECE_BYTES: Final = 16 << 20
"""Bytes of a piece of a file, about; a reconcile run finds pieces again by it."""
_SEGMENT_MESSAGES: Final = 100_000
"""Messages in the segments of one item of work, about."""


def work_items(work: Plan, source: Source) -> Iterator[Work]:
    """Pieces of files, and segments of the journal, several at a time."""
    for ref in work.files:
        for number, piece in enumerate(split(ref, PIECE_BYTES, source)):
            yield Work(FileWork(piece, number, work.file_sets[0].generation, work.arrival_time))
    held: list[SegmentRef] = []
    for segment in work.segments:
        held.append(segment)
        if sum(ref.count for ref in held) >= _SEGMENT_MESSAGES:
            yield Work(SegmentWork(tuple(held)))
            held = []
    if held:
        yield Work(SegmentWork(tuple(held)))


def unpacked(items: Sequence[Work]) -> int:
    """Bytes by which packed files are larger when they are unpacked; each is one piece."""
    pieces = [item.item.piece for item in items if isinstance(item.item, FileWork)]
    return sum(piece.end - piece.start - piece.ref.size for piece in pieces if piece.ref.compression)
