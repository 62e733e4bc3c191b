"""The base of both sources of segments: their elements, and how Beam reads, marks and resumes them."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, cast

import numpy as np
from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from tandem.journal.lanes.cursor import Emitted
from tandem.journal.storage.layout import lane_name
from tandem.schemas.columns import TIME
from tandem.schemas.messages import Decoded
from tandem.transforms.elements import DecodedSegment, DecodedSegmentCoder, SourceBatch
from tandem.transforms.sources.lane_elements import ElementSource

__all__ = [
    "LEAST",
    "MarkCoder",
    "ReadMark",
    "SegmentReader",
    "SegmentSource",
    "batches_of",
    "decoded_segment",
    "least_of",
    "timestamp_of",
]

LEAST: Final = int(MIN_TIMESTAMP.micros)
"""The least timestamp of Beam, microseconds UTC."""
_LAST: Final = int(MAX_TIMESTAMP.micros) - 1


class Mark(Protocol):
    """The position of a reader of the journal."""

    def encode(self) -> bytes:
        """Deterministic bytes."""

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The mark from its bytes."""


class MarkedReader(Protocol):
    """A reader of the journal that has a position."""

    def mark(self) -> Any:
        """The position behind the last emitted segment."""


R = TypeVar("R", bound=MarkedReader)


class ReadMark(CheckpointMark):  # type: ignore[misc]
    """A mark of the journal as Beam's checkpoint mark; `commit` is called once no runner goes back before it."""

    def __init__(self, mark: Any, commit: Callable[[Any], None] | None = None) -> None:
        self.mark = mark
        self._commit = commit

    def finalize_checkpoint(self) -> None:
        """Commit the mark: the runner won't go back before it. Pulled messages were acknowledged long before."""
        if self._commit is not None:
            self._commit(self.mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ReadMark, (self.mark,))


class MarkCoder(Coder):  # type: ignore[misc]
    """A coder of marks of one class, by their own bytes."""

    def __init__(self, kind: type[Mark]) -> None:
        self._kind = kind

    def encode(self, value: ReadMark) -> bytes:
        """See Coder."""
        return cast(Mark, value.mark).encode()

    def decode(self, encoded: bytes) -> ReadMark:
        """See Coder."""
        return ReadMark(self._kind.decode(encoded))

    def is_deterministic(self) -> bool:
        """True: equal marks have equal bytes."""
        return True


class SegmentSource(ElementSource):
    """A source of decoded segments, resumed from marks of one class."""

    marks: ClassVar[type[Mark]]

    def get_checkpoint_mark_coder(self) -> Coder:
        """The coder of its marks; deterministic."""
        return MarkCoder(self.marks)

    def default_output_coder(self) -> Coder:
        """The coder of its elements; Beam's default would be pickle."""
        return DecodedSegmentCoder()


class SegmentReader(UnboundedReader, Generic[R]):  # type: ignore[misc]
    """Adapts a reader of the journal to Beam. It is created at its first use, or taken over from the place's present
    holder.

    Beam parks a reader with the DoFn instance that ran the bundle. A runner that runs several bundles at once (Prism,
    with two lanes or more) has several instances, and the next bundle goes to any of them. A new reader of the journal
    each time would append an opening segment, and would restart idle timeouts, so that they never pass.
    """

    def __init__(self, place: Hashable, mark: Any) -> None:
        self._place, self._mark = place, mark
        self._held: R | None = None
        self._current: DecodedSegment | None = None
        self._timestamp = MIN_TIMESTAMP

    @abstractmethod
    def new_reader(self, mark: Any) -> R:
        """A reader of the journal that continues behind a mark."""

    @property
    def reader(self) -> R:
        """The reader of the journal; from now on this object is its only holder in this process."""
        if self._held is None:
            with _LOCK:
                before = _HOLDERS.get(self._place)
                _HOLDERS[self._place] = self
            found = before.hand_over() if before is not None and before is not self else None
            same = found is not None and found.mark() == self._mark
            self._held = cast(R, found) if same else self.new_reader(self._mark)
        return self._held

    def hand_over(self) -> R | None:
        """Hand the reader of the journal over; if this object is used again, it continues from the same mark."""
        held, self._held = self._held, None
        if held is not None:
            self._mark = held.mark()
        return held

    def start(self) -> bool:
        """See UnboundedReader."""
        return bool(self.advance())

    def get_current(self) -> DecodedSegment:
        """See UnboundedReader."""
        assert self._current is not None
        return self._current

    def get_current_timestamp(self) -> Timestamp:
        """The segment's earliest event time."""
        return self._timestamp

    def close(self) -> None:
        """See UnboundedReader."""
        self.hand_over()

    def give(self, segment: DecodedSegment) -> None:
        """Set the current segment."""
        self._current, self._timestamp = segment, timestamp_of(segment)


_HOLDERS: Final[dict[Hashable, SegmentReader[Any]]] = {}
"""The holder of each place's reader of the journal in this process."""
_LOCK: Final = threading.Lock()


def least_of(watermarks: Mapping[str, int | None]) -> int:
    """The lowest watermark within a runner's range, microseconds UTC; the least timestamp while one is unknown."""
    known = [watermark for watermark in watermarks.values() if watermark is not None]
    if not known or len(known) < len(watermarks):
        return LEAST
    return min(max(min(known), LEAST), _LAST)


def batches_of(segment: DecodedSegment) -> tuple[SourceBatch, ...]:
    """The batches of a segment, one a source section."""
    return segment.batches


def decoded_segment(emitted: Emitted, reported: Mapping[str, int | None], opening: int | None = None) -> DecodedSegment:
    """The element for an emitted segment; `reported` is the run's common watermark by source version."""
    header = emitted.header
    lane = lane_name(header.run, header.lane)
    payload = cast(Mapping[str, Decoded], emitted.payload)
    return DecodedSegment(
        tuple(
            SourceBatch(
                lane,
                header.number,
                header.generation,
                version,
                emitted.watermarks.get(version),
                decoded,
                reported.get(version),
                emitted.messages,
                opening,
            )
            for version, decoded in payload.items()
        )
    )


def timestamp_of(segment: DecodedSegment) -> Timestamp:
    """The earliest event time of the segment; the least timestamp without any event."""
    times = [batch.decoded.events.column(TIME).to_numpy() for batch in segment.batches]
    earliest = [int(np.min(t)) for t in times if len(t)]
    return Timestamp(micros=min(max(min(earliest), LEAST), _LAST)) if earliest else MIN_TIMESTAMP
