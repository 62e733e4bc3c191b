"""Seals the lanes of an earlier run for ever, whether their readers live, sleep, or never existed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Final, Protocol

import pyarrow as pa

from tandem.journal.storage.blobs import BlobMissingError, BlobStore, create_or_find
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.journal.storage.layout import (
    lane_folder,
    lane_name,
    parse_segment_name,
    run_ordinal,
    run_sealed_path,
    segment_path,
)
from tandem.journal.storage.segments import Kind, SegmentHeader, encode_segment, load_header
from tandem.schemas.errors import JournalError
from tandem.schemas.messages import MESSAGE_SCHEMA

__all__ = ["NO_MESSAGES", "is_run_sealed", "last_generation_of", "last_segment", "seal_lane", "seal_run"]

_LOG: Final = logging.getLogger(__name__)
_TELL_EVERY: Final = 1_000
"""Attempts to seal a lane between two messages about it."""

NO_MESSAGES = pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in MESSAGE_SCHEMA.types], schema=MESSAGE_SCHEMA)
"""An empty batch."""


class Sealer(Protocol):
    """The run that seals; its manifest is already written."""

    @property
    def id(self) -> str:
        """The run's id."""
        ...

    @property
    def nonce(self) -> str:
        """The run's nonce."""
        ...


def last_segment(blobs: BlobStore, run: str, lane: int) -> SegmentHeader | None:
    """Header of the lane's last segment; None for a lane without any."""
    numbers = [n for n in map(parse_segment_name, blobs.list(lane_folder(run, lane))) if n is not None]
    return load_header(blobs, segment_path(run, lane, max(numbers))) if numbers else None


def is_run_sealed(blobs: BlobStore, run: str, lanes: int) -> bool:
    """Whether every lane of the run is sealed for ever; remembers it in the journal when it is."""
    if blobs.exists(run_sealed_path(run_ordinal(run))):
        return True
    ends = [last_segment(blobs, run, lane) for lane in range(lanes)]
    if any(end is None or end.final is None for end in ends):
        return False
    _note_sealed(blobs, run, [end for end in ends if end is not None])
    return True


def last_generation_of(blobs: BlobStore, run: str) -> int | None:
    """The highest generation in a sealed run's lanes; None for a run that isn't sealed yet."""
    path = run_sealed_path(run_ordinal(run))
    try:
        return int(decode_document(blobs.read(path), "last_generation", "run")["last_generation"])
    except BlobMissingError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{path}: not a note of a sealed run: {error}") from None


def seal_run(
    blobs: BlobStore,
    run: str,
    lanes: int,
    subscription: str,
    first_generation: int,
    by: Sealer,
    written: int | None = None,
) -> Iterator[SegmentHeader]:
    """Seal every lane of the run; yields each lane's final seal. May be repeated by any process.

    `written`: the wall clock, for information only.
    """
    ends = []
    for lane in range(lanes):
        ends.append(seal_lane(blobs, run, lane, subscription, first_generation, by, written))
        yield ends[-1]
    _note_sealed(blobs, run, ends)


def seal_lane(
    blobs: BlobStore,
    run: str,
    lane: int,
    subscription: str,
    first_generation: int,
    by: Sealer,
    written: int | None = None,
) -> SegmentHeader:
    """Append the final seal to a lane unless it has one; returns the seal.

    A reader that still writes may take the next number first; then the seal takes the one after, and so on while that
    reader continues. Every segment that such a reader wrote lies before the seal and will be replayed.
    """
    last = last_segment(blobs, run, lane)
    for attempt in count(1):
        if last is not None and last.final is not None:
            return last
        if attempt % _TELL_EVERY == 0:
            _LOG.warning("lane %s: its writer is faster than its seal, %d times so far", lane_name(run, lane), attempt)
        header = SegmentHeader(
            run=run,
            lane=lane,
            number=last.number + 1 if last else 1,
            generation=last.open_generation if last else first_generation,
            nonce=by.nonce,
            kind=Kind.SEAL,
            watermarks=last.watermarks if last else {},
            subscription=subscription,
            final=by.id,
            written=written,
        )
        if create_or_find(blobs, header.path, encode_segment(header, NO_MESSAGES)) is None:
            return header
        # Listing the lane takes longer than its writer does for a segment: the next number is known without.
        last = load_header(blobs, header.path)
    raise AssertionError("unreachable")


def _note_sealed(blobs: BlobStore, run: str, ends: list[SegmentHeader]) -> None:
    content = {"last_generation": max(end.generation for end in ends), "run": run}
    create_or_find(blobs, run_sealed_path(run_ordinal(run)), encode_document(content))
