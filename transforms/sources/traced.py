"""Which segments events are of, and spans of what is done with them, where tracing is on.

Then a batch of events carries its segments in the schema's metadata, from routing to the store; what a runner keeps as
state has none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from tandem.journal.broker.interface import Broker, PulledBatch
from tandem.journal.lanes.cursor import Emitted
from tandem.journal.storage.layout import lane_name
from tandem.schemas.telemetry.traces import Segment, note, note_segment, tracing
from tandem.transforms.element_values import FoldUpdate

__all__ = ["TimedReading", "carried", "carrying", "marked", "segments_of", "traced"]

_KEY: Final = b"segments"
_MOST: Final = 64
"""Segments that one batch carries."""


def marked(events: pa.RecordBatch, segments: Iterable[Segment]) -> pa.RecordBatch:
    """Events that carry the segments that they are of; as they are where tracing is off."""
    known = list(dict.fromkeys(segments))[:_MOST] if tracing() else []
    if not known:
        return events
    metadata = {**(events.schema.metadata or {}), _KEY: json.dumps(known).encode()}
    return events.replace_schema_metadata(metadata)


def segments_of(events: pa.RecordBatch) -> list[Segment]:
    """The segments that events carry."""
    found = (events.schema.metadata or {}).get(_KEY)
    return [Segment(*each) for each in json.loads(found)] if found is not None else []


def carried(parts: Sequence[pa.RecordBatch]) -> list[Segment]:
    """The segments of all parts."""
    return [segment for part in parts for segment in segments_of(part)]


def carrying(update: FoldUpdate, events: pa.RecordBatch) -> FoldUpdate:
    """An update that carries the segments of the events that it was made of."""
    segments = segments_of(events) if tracing() else []
    return replace(update, block=marked(update.block, segments)) if segments else update


@contextmanager
def traced(name: str, segments: Callable[[], Iterable[Segment]], **attributes: str | int) -> Iterator[None]:
    """A span of what the body does with the segments; nothing where tracing is off."""
    if not tracing():
        yield
        return
    began = time.time_ns()
    yield
    known = list(segments())
    if known:
        note(name, known, began, time.time_ns(), {f"tandem.{key}": value for key, value in attributes.items()})


Observe = Callable[[pa.RecordBatch], Any]
"""As `decoding.observe`, given its readings."""
Times = tuple[int, int]
"""When something began and ended, nanoseconds of the wall clock."""


@dataclass
class TimedReading:
    """A broker and a decoder, which note when they worked on the segment that comes next."""

    broker: Broker
    observe: Observe
    pulled: Times = (0, 0)
    decoded: Times = (0, 0)
    acknowledged: Times = (0, 0)

    def pull(self, max_messages: int) -> PulledBatch:
        """As the broker."""
        began = time.time_ns()
        batch = self.broker.pull(max_messages)
        self.pulled = (began, time.time_ns())
        return batch

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """As the broker."""
        began = time.time_ns()
        try:
            self.broker.acknowledge(ack_ids)
        finally:
            self.acknowledged = (began, time.time_ns())

    def decode(self, messages: pa.RecordBatch) -> Any:
        """As `observe`."""
        began = time.time_ns()
        found = self.observe(messages)
        self.decoded = (began, time.time_ns())
        return found

    def emitted(self, emitted: Emitted) -> None:
        """Spans of a segment that was just written: pull, decoding, journal, acknowledging."""
        header = emitted.header
        segment = Segment(lane_name(header.run, header.lane), header.number)
        counts = {"tandem.messages": emitted.messages.num_rows, "tandem.generation": header.generation}
        note_segment(segment, self.pulled[0], self.acknowledged[1], counts)
        note("pull", [segment], *self.pulled)
        note("decode", [segment], *self.decoded)
        note("journal", [segment], self.decoded[1], self.acknowledged[0])
        note("acknowledge", [segment], *self.acknowledged)
