"""Generations: stretches of the journal by arrival, counted from 1. A marker begins each one.

Markers have no gaps: the creator of one has seen the one before it.
"""

from __future__ import annotations

from tandem.journal.clocks import Clock
from tandem.journal.storage.blobs import BlobMissingError, BlobStore, create_or_find
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.journal.storage.layout import GENERATIONS, generation_path, parse_generation

__all__ = ["current_generation", "generation_age", "latest_generation", "next_generation"]


def current_generation(blobs: BlobStore) -> int:
    """The highest generation that has begun; 0 in an empty journal."""
    names = (parse_generation(name) for name in blobs.list(GENERATIONS))
    return max((number for number in names if number is not None), default=0)


def latest_generation(blobs: BlobStore, known: int) -> int:
    """The highest generation that has begun, given a known one: searches only above it."""
    while blobs.exists(generation_path(known + 1)):
        known += 1
    return known


def next_generation(blobs: BlobStore, clock: Clock, after: int, by: str) -> int:
    """Begin the generation `after` + 1, or adopt it if another process did; returns its number.

    `by` (run, lane, nonce) is information only; of the wall time see `generation_age`.
    """
    content = {"begun_at": clock.wall(), "by": by, "generation": after + 1}
    create_or_find(blobs, generation_path(after + 1), encode_document(content))
    return after + 1


def generation_age(blobs: BlobStore, clock: Clock, generation: int, most: int) -> int:
    """Microseconds since a generation began, at most `most`; 0 without its marker. Raises OSError.

    The age is the difference of two machines' wall clocks, so it decides only when a new reader begins the next
    generation, on which no guarantee rests. For a marker without a time, or with one that is ahead by more than `most`,
    the age is `most`, so that the caller begins a generation whose age is known.
    """
    try:
        begun = int(
            decode_document(blobs.read(generation_path(generation)), "begun_at", "by", "generation")["begun_at"]
        )
    except BlobMissingError:
        return 0
    except (ValueError, KeyError, TypeError):
        return most
    age = clock.wall() - begun
    return most if age < -most else min(max(age, 0), most)
