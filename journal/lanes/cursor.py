"""Reads lanes in order: one lane's segments, and the deterministic merge of several finished lanes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tandem.journal.index import GAP_REMEDY, find_gap
from tandem.journal.lanes.marks import LanePosition
from tandem.journal.lanes.watermarks import Watermarks, WatermarkTracker, lowest
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import lane_folder, lane_name, parse_segment_name, segment_path
from tandem.journal.storage.segments import Kind, Segment, SegmentHeader, load_header, load_segment
from tandem.schemas.errors import JournalError, SegmentError

__all__ = ["Emitted", "LaneCursor", "Observe", "ReplayMerge", "merge_order", "number_before"]

Observe = Callable[[pa.RecordBatch], tuple[object, Watermarks]]
"""Decodes messages once: (a payload to travel with the segment, per source version the largest event time).

A pure function of the messages. It never raises: messages that can't be decoded are part of its payload."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """A segment on its way into the pipeline."""

    header: SegmentHeader
    messages: pa.RecordBatch
    """MESSAGE_SCHEMA, never empty."""
    payload: object
    """The first result of `Observe` for the messages."""
    watermarks: Watermarks
    """Per source version the watermark that decides which of these messages are late; the same in every
    replay.

    The stored one; for a source that the writer didn't know, from the lane's earlier messages since the
    boundary."""
    replayed: bool
    """Whether the segment was read from the journal, not pulled just now."""


class LaneCursor:
    """Reads one lane from a position on; openings and seals are skipped and remembered."""

    def __init__(
        self, blobs: BlobStore, run: str, lane: int, number: int, tracker: WatermarkTracker, observe: Observe
    ) -> None:
        """`number`: the last segment not to emit. `tracker`: the lane's watermark there; the cursor keeps it
        up."""
        self.run, self.lane, self.number = run, lane, number
        self.tracker = tracker
        self.open_generation: int | None = None
        """Lowest generation of later segments; None before any segment was read."""
        self.final: str | None = None
        """The run that sealed the lane for ever, once its seal was read."""
        self._blobs, self._observe = blobs, observe
        self._head: Segment | None = None

    def peek(self) -> SegmentHeader | None:
        """Header of the next segment of messages; None at the lane's current end, or after its final seal."""
        while self._head is None and self.final is None:
            try:
                segment = load_segment(self._blobs, segment_path(self.run, self.lane, self.number + 1))
            except BlobMissingError:
                return None
            self._enter(segment)
        return self._head.header if self._head else None

    @property
    def ready(self) -> bool:
        """Whether the next segment exists already."""
        return self._head is not None

    def watermarks(self) -> dict[str, int | None]:
        """The watermarks of the next segment; at the end of the lane those after the last one."""
        self.peek()
        return self.watermarks_so_far()

    def watermarks_so_far(self) -> dict[str, int | None]:
        """As `watermarks`, without reading further."""
        stored: Watermarks = self._head.header.watermarks if self._head else {}
        return {source: stored.get(source, value) for source, value in self.tracker.current().items()}

    def refuse_gap(self) -> None:
        """Raise SegmentError where the lane doesn't end here: a segment is missing, and later ones exist."""
        gap = find_gap(self._blobs, self.run, self.lane, self.number)
        if gap is not None:
            raise SegmentError(f"{gap}; {GAP_REMEDY}")

    def refuse_gap_at_hand(self) -> None:
        """As `refuse_gap`, for a single segment, which costs little: for repeated checks."""
        if self.final is None and self._blobs.exists(segment_path(self.run, self.lane, self.number + 2)):
            self.refuse_gap()

    def take(self) -> Emitted:
        """The next segment of messages, once `peek` has found it."""
        watermarks = self.watermarks()
        if self._head is None:
            raise LookupError(f"lane {lane_name(self.run, self.lane)}: nothing after segment {self.number}")
        segment, self._head = self._head, None
        self.number = segment.header.number
        payload, largest = self._observe(segment.messages)
        self.tracker.lift(segment.header.watermarks)
        self.tracker.observe(largest)
        return Emitted(segment.header, segment.messages, payload, watermarks, replayed=True)

    def position(self) -> LanePosition:
        """The position of the cursor."""
        return LanePosition(self.run, self.lane, self.number, self.tracker.current())

    def _enter(self, segment: Segment) -> None:
        header = segment.header
        if self.open_generation is not None and header.generation < self.open_generation:
            raise JournalError(f"{header.path}: generation {header.generation} after {self.open_generation} had begun")
        self.open_generation = header.open_generation
        if header.kind is Kind.DATA and header.count:
            self._head = segment
            return
        self.final = header.final
        self.tracker.lift(header.watermarks)
        if self.final is None:
            # a position stays before the final seal, so that a reader that resumes from it reads the seal again
            self.number = header.number


class ReplayMerge:
    """Merges the finished lanes of earlier runs: lowest watermark first, then lane name.

    The order depends on the journal and the run's manifest alone, so every replay is the same.
    """

    def __init__(self, cursors: Sequence[LaneCursor], sources: Sequence[str]) -> None:
        self._cursors = sorted(cursors, key=lambda cursor: (cursor.run, cursor.lane))
        self._sources = list(sources)

    def next(self) -> Emitted | None:
        """The next segment; None when all lanes are replayed."""
        heads = self._heads()
        if not heads:
            return None
        return min(heads, key=merge_order).take()

    def lowest(self) -> dict[str, int | None] | None:
        """Minimum over the lanes' next segments of their watermarks; None without further segments."""
        heads = self._heads()
        return lowest([cursor.watermarks() for cursor in heads], self._sources) if heads else None

    def positions(self) -> tuple[LanePosition, ...]:
        """The position of each replayed lane."""
        return tuple(cursor.position() for cursor in self._cursors)

    def _heads(self) -> list[LaneCursor]:
        heads = [cursor for cursor in self._cursors if cursor.peek() is not None]
        for cursor in self._cursors:
            if cursor.final is None and cursor.peek() is None:
                cursor.refuse_gap()
                raise JournalError(f"lane {lane_name(cursor.run, cursor.lane)}: replayed before it was sealed")
        return heads


def merge_order(cursor: LaneCursor) -> tuple[int, str, int]:
    """Sort key of a lane that has a next segment: lowest watermark first (unknown before all), then name."""
    known = [value for value in cursor.watermarks().values() if value is not None]
    return (min(known) if known else -(2**63), cursor.run, cursor.lane)


def number_before(blobs: BlobStore, run: str, lane: int, generation: int) -> int:
    """Number of the lane's last segment of `generation` or earlier; 0 without any. Reads few headers."""
    if generation <= 0:
        return 0
    names = map(parse_segment_name, blobs.list(lane_folder(run, lane)))
    numbers = sorted(number for number in names if number is not None)
    seen: dict[int, int] = {}

    def label(number: int) -> int:
        if number not in seen:
            seen[number] = load_header(blobs, segment_path(run, lane, number)).generation
        return seen[number]

    found = bisect_right(numbers, generation, key=label)
    return numbers[found - 1] if found else 0
