"""Generations: stretches of the journal by arrival, counted from 1. A marker says that one has begun.

Markers have no gaps: whoever creates one has seen the one before it.
"""

from __future__ import annotations

import json

from tandem.journal.blobs import BlobStore, create_or_find
from tandem.journal.clocks import Clock
from tandem.journal.layout import GENERATIONS, generation_path, parse_generation

__all__ = ["current_generation", "latest_generation", "next_generation"]


def current_generation(blobs: BlobStore) -> int:
    """The highest generation that has begun; 0 in an empty journal."""
    names = (parse_generation(name) for name in blobs.list(GENERATIONS))
    return max((number for number in names if number is not None), default=0)


def latest_generation(blobs: BlobStore, known: int) -> int:
    """The highest generation that has begun, given one that has: looks only above it."""
    while blobs.exists(generation_path(known + 1)):
        known += 1
    return known


def next_generation(blobs: BlobStore, clock: Clock, after: int, by: str) -> int:
    """Begin the generation `after` + 1, or adopt it if another did; returns its number.

    `by` (run, lane, nonce) and the wall time are information only.
    """
    content = {"begun_at": clock.wall(), "by": by, "generation": after + 1}
    create_or_find(blobs, generation_path(after + 1), json.dumps(content, sort_keys=True).encode())
    return after + 1
