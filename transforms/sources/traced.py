"""Tracks the segments of events, and traces spans of their steps, where tracing is on.

A batch of events then carries its segments in the schema's metadata, from routing to the store; a runner's state has
none.
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
"""Most segments that one batch carries."""


def marked(events: pa.RecordBatch, segments: Iterable[Segment]) -> pa.RecordBatch:
    """The events with their segments as metadata; unchanged where tracing is off."""
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
    """The update with the segments of its events."""
    segments = segments_of(events) if tracing() else []
    return replace(update, block=marked(update.block, segments)) if segments else update


@contextmanager
def traced(name: str, segments: Callable[[], Iterable[Segment]], **attributes: str | int) -> Iterator[None]:
    """Trace a span around the body for these segments; does nothing where tracing is off."""
    if not tracing():
        yield
        return
    began = time.time_ns()
    yield
    known = list(segments())
    if known:
        note(name, known, began, time.time_ns(), {f"tandem.{key}": value for key, value in attributes.items()})


Observe = Callable[[pa.RecordBatch], Any]
"""`decoding.observe` with its readings."""
Times = tuple[int, int]
"""The begin and end of something, nanoseconds of the wall clock."""


@dataclass
class TimedReading:
    """A broker and a decoder that record when they worked on the next segment."""

    broker: Broker
    observe: Observe
    pulled: Times = (0, 0)
    decoded: Times = (0, 0)
    acknowledged: Times = (0, 0)

    def pull(self, max_messages: int) -> PulledBatch:
        """Pull from the broker, timed."""
        began = time.time_ns()
        batch = self.broker.pull(max_messages)
        self.pulled = (began, time.time_ns())
        return batch

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledge at the broker, timed."""
        began = time.time_ns()
        try:
            self.broker.acknowledge(ack_ids)
        finally:
            self.acknowledged = (began, time.time_ns())

    def decode(self, messages: pa.RecordBatch) -> Any:
        """Decode by `observe`, timed."""
        began = time.time_ns()
        found = self.observe(messages)
        self.decoded = (began, time.time_ns())
        return found

    def emitted(self, emitted: Emitted) -> None:
        """Trace spans of a segment that was just written: pull, decode, journal, acknowledge."""
        header = emitted.header
        segment = Segment(lane_name(header.run, header.lane), header.number)
        counts = {"tandem.messages": emitted.messages.num_rows, "tandem.generation": header.generation}
        note_segment(segment, self.pulled[0], self.acknowledged[1], counts)
        note("pull", [segment], *self.pulled)
        note("decode", [segment], *self.decoded)
        note("journal", [segment], self.decoded[1], self.acknowledged[0])
        note("acknowledge", [segment], *self.acknowledged)
