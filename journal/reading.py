"""Reading sealed generations, for backfill: which segments they are, exactly, and their messages."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b

from tandem.journal.index import GAP_REMEDY, JournalIndex, SegmentRef
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.segments import Segment, load_segment
from tandem.schemas.errors import JournalError, SegmentError

__all__ = ["GenerationManifest", "generation_manifest", "read_segment", "segments_of"]


@dataclass(frozen=True, slots=True)
class GenerationManifest:
    """What a sealed generation is made of; the same whenever it is asked for."""

    generation: int
    segments: tuple[SegmentRef, ...]
    """By run, lane and number."""
    count: int
    """Messages."""
    digest: str
    """Over all segments' places, counts and digests; blake2b-128 in hexadecimal."""


def segments_of(index: JournalIndex, upto: int, after: int = 0) -> list[SegmentRef]:
    """Segments of the generations after `after` and up to and with `upto`, by run, lane and number.

    The index must have been refreshed. Raises JournalError naming the lanes that hold up the seal when one of
    them isn't sealed.
    """
    status = index.seal_status(upto)
    if upto > after and not status.sealed:
        why = "; ".join(map(str, status.holders)) or f"the latest that has begun is {index.current}"
        raise JournalError(f"generation {upto} isn't sealed: {why}")
    return index.segments(after, upto)


def generation_manifest(index: JournalIndex, generation: int) -> GenerationManifest:
    """The manifest of one sealed generation. Raises JournalError when it isn't sealed."""
    refs = tuple(segments_of(index, generation, generation - 1))
    packed = json.dumps([asdict(ref) for ref in refs], sort_keys=True, separators=(",", ":")).encode()
    digest = blake2b(packed, digest_size=16).hexdigest()
    return GenerationManifest(generation, refs, sum(ref.count for ref in refs), digest)


def read_segment(blobs: BlobStore, ref: SegmentRef) -> Segment:
    """A segment that a manifest names. Raises SegmentError when it is gone, damaged, or another than that
    one."""
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
