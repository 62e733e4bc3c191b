"""Reads sealed generations for backfills: exact references to their segments, and their messages."""

from __future__ import annotations

from tandem.journal.index import GAP_REMEDY, JournalIndex, SegmentRef
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.segments import Segment, load_segment
from tandem.schemas.errors import JournalError, SegmentError

__all__ = ["read_segment", "segments_of"]


def segments_of(index: JournalIndex, upto: int, after: int = 0) -> list[SegmentRef]:
    """Segments of the generations after `after` and up to and with `upto`, by run, lane and number.

    The index must have been refreshed. Raises JournalError naming the lanes that delay the seal when one of them isn't
    sealed.
    """
    status = index.seal_status(upto)
    if upto > after and not status.sealed:
        why = "; ".join(map(str, status.holders)) or f"the latest that has begun is {index.current}"
        raise JournalError(f"generation {upto} isn't sealed: {why}")
    return index.segments(after, upto)


def read_segment(blobs: BlobStore, ref: SegmentRef) -> Segment:
    """A segment that a manifest names. Raises SegmentError when it is missing, damaged, or another one."""
    try:
        segment = load_segment(blobs, ref.path)
    except BlobMissingError:
        raise SegmentError(
            f"segment {ref.number} of lane {lane_name(ref.run, ref.lane)} is missing: {ref.path}: gone; "
            f"generation {ref.generation} holds {ref.count} messages there; {GAP_REMEDY}"
        ) from None
    header = segment.header
    if (header.digest, header.count, header.generation) != (ref.digest, ref.count, ref.generation):
        raise SegmentError(
            f"{ref.path}: digest {header.digest}, {header.count} messages, generation {header.generation}; "
            f"listed with {ref.digest}, {ref.count}, {ref.generation}"
        )
    return segment
