"""What a sealed generation is made of, as one value: two looks at it can be compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b

from tandem.journal.index import JournalIndex, SegmentRef
from tandem.journal.reading import segments_of

__all__ = ["GenerationManifest", "generation_manifest"]


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


def generation_manifest(index: JournalIndex, generation: int) -> GenerationManifest:
    """The manifest of one sealed generation. Raises JournalError when it isn't sealed."""
    refs = tuple(segments_of(index, generation, generation - 1))
    packed = json.dumps([asdict(ref) for ref in refs], sort_keys=True, separators=(",", ":")).encode()
    digest = blake2b(packed, digest_size=16).hexdigest()
    return GenerationManifest(generation, refs, sum(ref.count for ref in refs), digest)
