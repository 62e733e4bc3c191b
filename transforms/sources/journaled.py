"""The journaled source: one reader per lane under Beam's UnboundedSource."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

import apache_beam as beam
import numpy as np
from apache_beam import coders
from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from tandem.journal.broker.gathering import GatheringBroker
from tandem.journal.broker.interface import Broker
from tandem.journal.broker.pubsub import PubSubBroker, PubSubConfig
from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.cursor import Emitted
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.pacing import pace_of
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.launches import check_launch
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.storage.layout import drain_path, lane_name
from tandem.journal.storage.opening import open_blobs
from tandem.runners.beam_patches import reading_progress
from tandem.schemas.columns import TIME
from tandem.schemas.definition.loading import Definition
from tandem.schemas.failpoints import reached
from tandem.schemas.messages import Decoded
from tandem.transforms.elements import DecodedSegment, DecodedSegmentCoder, SourceBatch
from tandem.transforms.sources.bundle_clock import reads_backlog
from tandem.transforms.sources.decoding import SourceReading, observe, source_readings
from tandem.transforms.sources.lane_elements import ElementCoder, ElementSource, ReadSources

__all__ = ["JournaledSource", "ReadJournaled", "batches_of", "decoded_segment", "timestamp_of"]

# Workers import this module when they are sent the source, so all of them get it.
reading_progress.apply()

_MIN: Final = MIN_TIMESTAMP.micros
_MAX: Final = MAX_TIMESTAMP.micros - 1


@dataclass
class ReadJournaled(beam.PTransform):  # type: ignore[misc]
    """All lanes of a run, decoded: PCollection[SourceBatch], each stamped with its earliest event time."""

    definitions: tuple[Definition, ...]
    journal: str
    """Folder of the journal."""
    run: RunManifest
    broker: PubSubConfig
    lane: LaneConfig
    poll_interval: float = 0.1
    """Seconds between two looks at an idle subscription."""
    max_segments_per_bundle: int = 100
    max_seconds_per_bundle: float = 1.0
    """Of messages that are pulled; see tandem.transforms.sources.bundle_clock for replays."""
    launch: int | None = None
    """Of the run, see tandem.journal.runs.launches; None: the run can't be resumed elsewhere."""

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[SourceBatch]:
        source = JournaledSource(self.journal, self.run, self.broker, self.lane, source_readings(self.definitions))
        read = ReadSources(
            source.split(self.run.lanes),
            poll_interval=self.poll_interval,
            max_records_per_bundle=self.max_segments_per_bundle,
            max_read_time_seconds=self.max_seconds_per_bundle,
        )
        segments = begin | "Lanes" >> read
        batches = _Batches(self.journal, self.run.id, self.launch)
        return segments | "Batches" >> beam.ParDo(batches).with_output_types(SourceBatch)


def batches_of(segment: DecodedSegment) -> tuple[SourceBatch, ...]:
    """The batches of a segment, one a source."""
    return segment.batches


class _Batches(beam.DoFn):  # type: ignore[misc]
    """`batches_of`. Tells the readers of its process which launch they belong to.

    They can't know by themselves: a runner that restores a job gives them the source as it was pickled for the first
    launch. A runner sets all steps of a stage up before it reads.
    """

    def __init__(self, journal: str, run: str, launch: int | None) -> None:
        self._place, self._launch = (journal, run), launch

    def setup(self) -> None:
        if self._launch is not None:
            _LAUNCHES[self._place] = self._launch

    def process(self, segment: DecodedSegment) -> tuple[SourceBatch, ...]:
        return batches_of(segment)


@dataclass(frozen=True)
class JournaledSource(ElementSource):
    """One lane of a run, or all of them before `split`. Holds all that a reader needs: runners pass no options."""

    journal: str
    run: RunManifest
    broker: PubSubConfig
    config: LaneConfig
    readings: tuple[SourceReading, ...]
    number: int | None = None
    """The lane."""

    def split(self, desired_num_splits: int, options: Any = None) -> "list[JournaledSource]":
        """One source a lane, however many are desired: the run's manifest says how many there are. A lane is itself."""
        if self.number is not None:
            return [self]
        return [replace(self, number=lane) for lane in range(self.run.lanes)]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "_LaneUnboundedReader":
        """A reader of this lane from a mark on, or from the beginning."""
        assert self.number is not None, "the source wasn't split"
        mark = cast(_Mark, checkpoint_mark).mark if checkpoint_mark is not None else LaneMark(self.run.id, self.number)
        return _LaneUnboundedReader(self, mark)

    def get_checkpoint_mark_coder(self) -> Coder:
        """JSON, deterministic."""
        return _MarkCoder()

    def default_output_coder(self) -> Coder:
        """Beam's default would be pickle."""
        return DecodedSegmentCoder()


coders.registry.register_coder(JournaledSource, ElementCoder)


class _Mark(CheckpointMark):  # type: ignore[misc]
    def __init__(self, mark: LaneMark, reader: LaneReader | None = None) -> None:
        self.mark = mark
        self._reader = reader

    def finalize_checkpoint(self) -> None:
        """The runner won't go back before this mark. Messages were acknowledged long before."""
        if self._reader is not None:
            self._reader.commit(self.mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Mark, (self.mark,))


class _MarkCoder(Coder):  # type: ignore[misc]
    def encode(self, value: _Mark) -> bytes:
        return value.mark.encode()

    def decode(self, encoded: bytes) -> _Mark:
        return _Mark(LaneMark.decode(encoded))

    def is_deterministic(self) -> bool:
        return True


class _LaneUnboundedReader(UnboundedReader):  # type: ignore[misc]
    """LaneReader in Beam's words. Makes its LaneReader when it is first used, or takes over the lane's present one."""

    def __init__(self, source: JournaledSource, mark: LaneMark) -> None:
        self._source, self._mark = source, mark
        self._lane: LaneReader | None = None
        self._clock = SystemClock()
        self._blobs = open_blobs(source.journal)
        self._drain = drain_path(source.run.id)
        self._look_interval = source.config.publish_interval
        self._looked_at = 0
        self._current: DecodedSegment | None = None
        self._timestamp = MIN_TIMESTAMP

    @property
    def _reader(self) -> LaneReader:
        if self._lane is None:
            place = (self._source.journal, self._mark.run, self._mark.lane)
            with _LANES_LOCK:
                before = _LANES.get(place)
                _LANES[place] = self
            found = before.hand_over() if before is not None and before is not self else None
            self._lane = found if found is not None and found.mark() == self._mark else self._new_reader()
        return self._lane

    def hand_over(self) -> LaneReader | None:
        """Give the LaneReader away; if this one is used again, it goes on from where it stood."""
        lane, self._lane = self._lane, None
        if lane is not None:
            self._mark = lane.mark()
        return lane

    def _new_reader(self) -> LaneReader:
        launch = _LAUNCHES.get((self._source.journal, self._mark.run))
        if launch is not None:
            check_launch(self._blobs, self._mark.run, launch)
        return LaneReader(
            self._blobs,
            self._source.run,
            self._mark.lane,
            self._broker(),
            self._clock,
            partial(observe, self._source.readings),
            self._source.config,
            mark=self._mark,
        )

    def _broker(self) -> Broker:
        broker, interval = PubSubBroker(self._source.broker), pace_of(self._source.journal).segment
        return GatheringBroker(broker, self._clock, interval) if interval else broker

    def start(self) -> bool:
        """See UnboundedReader."""
        return self.advance()

    def advance(self) -> bool:
        """The next segment, or False when there is none now."""
        if self._current is not None:
            reached("after-emit")
            self._current = None
        self._look_around()
        emitted = self._reader.advance()
        reads_backlog(emitted is not None and emitted.replayed)
        if emitted is None:
            return False
        self._current = decoded_segment(emitted, self._reader.common_watermark(), self._reader.opening)
        self._timestamp = timestamp_of(self._current)
        return True

    def get_current(self) -> DecodedSegment:
        """See UnboundedReader."""
        assert self._current is not None
        return self._current

    def get_current_timestamp(self) -> Timestamp:
        """The earliest event time of the segment: nothing in it lies before."""
        return self._timestamp

    def get_watermark(self) -> Timestamp:
        """What every lane of the run reports; the end of time once all of them are closed."""
        if self._reader.finished():
            return MAX_TIMESTAMP
        common = self._reader.common_watermark().values()
        known = [watermark for watermark in common if watermark is not None]
        if not known or len(known) < len(common):
            return MIN_TIMESTAMP
        return Timestamp(micros=min(max(min(known), _MIN), _MAX))

    def get_checkpoint_mark(self) -> CheckpointMark:
        """Behind what was emitted last."""
        return _Mark(self._reader.mark(), self._reader)

    def close(self) -> None:
        """See UnboundedReader."""
        self.hand_over()

    def _look_around(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at >= self._look_interval:
            self._looked_at = now
            if self._blobs.exists(self._drain):
                self._reader.drain()


_LANES: Final[dict[tuple[str, str, int], _LaneUnboundedReader]] = {}
"""Who has a lane's LaneReader in this process, by journal, run and lane.

Beam parks a reader with the DoFn instance that ran the bundle. A runner that works on several bundles at once (Prism,
with two lanes or more) has several instances, and the lane's next bundle goes to any of them. A LaneReader made anew
each time would append an opening segment, and would measure the idle times from zero again, so that they never pass.
"""
_LANES_LOCK: Final = threading.Lock()
_LAUNCHES: Final[dict[tuple[str, str], int]] = {}
"""Per journal and run: the launch that this process works for."""


def decoded_segment(emitted: Emitted, reported: Mapping[str, int | None], opening: int | None = None) -> DecodedSegment:
    """What a pipeline takes in of a segment; `reported` is the run's common watermark by source version."""
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
    """The earliest event time in it; the beginning of time without any event."""
    times = [batch.decoded.events.column(TIME).to_numpy() for batch in segment.batches]
    earliest = [int(np.min(t)) for t in times if len(t)]
    return Timestamp(micros=min(max(min(earliest), _MIN), _MAX)) if earliest else MIN_TIMESTAMP
