"""The journaled source: one reader per lane under Beam's UnboundedSource."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, cast

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import CheckpointMark
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from tandem.journal.broker.gathering import GatheringBroker
from tandem.journal.broker.interface import Broker
from tandem.journal.broker.pubsub import PubSubBroker, PubSubConfig
from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.pacing import segment_interval
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.launches import check_launch
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.storage.layout import drain_path
from tandem.journal.storage.opening import open_blobs
from tandem.runners.beam_patches import reading_progress
from tandem.schemas.definition.loading import Definition
from tandem.schemas.failpoints import reached
from tandem.schemas.telemetry.traces import tracing
from tandem.transforms.elements import DecodedSegment, SourceBatch
from tandem.transforms.sources.bundle_clock import reads_backlog
from tandem.transforms.sources.decoding import SourceReading, observe, source_readings
from tandem.transforms.sources.lane_elements import ElementCoder, ReadSources
from tandem.transforms.sources.segments import (
    ReadMark,
    SegmentReader,
    SegmentSource,
    batches_of,
    decoded_segment,
    least_of,
)
from tandem.transforms.sources.traced import TimedReading

__all__ = ["JournaledSource", "ReadJournaled"]

# Workers import this module when they are sent the source, so all of them get it.
reading_progress.apply()


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
    """Seconds between two pulls of an idle subscription."""
    max_segments_per_bundle: int = 100
    max_seconds_per_bundle: float = 1.0
    """The length of bundles of pulled messages; see `tandem.transforms.sources.bundle_clock` for replays."""
    launch: int | None = None
    """The run's launch, see `tandem.journal.runs.launches`; None: the run can't be resumed elsewhere."""

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


class _Batches(beam.DoFn):  # type: ignore[misc]
    """Emits `batches_of`, and sets the launch of its process's readers.

    They can't know it themselves: a runner that restores a job gives them the source as pickled for the first launch. A
    runner sets up all steps of a stage before it reads.
    """

    def __init__(self, journal: str, run: str, launch: int | None) -> None:
        self._place, self._launch = (journal, run), launch

    def setup(self) -> None:
        if self._launch is not None:
            _LAUNCHES[self._place] = self._launch

    def process(self, segment: DecodedSegment) -> tuple[SourceBatch, ...]:
        return batches_of(segment)


@dataclass(frozen=True)
class JournaledSource(SegmentSource):
    """One lane of a run, or all of them before `split`. Has everything that a reader needs: runners pass no options."""

    journal: str
    run: RunManifest
    broker: PubSubConfig
    config: LaneConfig
    readings: tuple[SourceReading, ...]
    number: int | None = None
    """The lane's number; None for all lanes."""
    marks: ClassVar = LaneMark

    def split(self, desired_num_splits: int, options: Any = None) -> "list[JournaledSource]":
        """One source a lane, whatever number is desired: the run's manifest has the number. A lane's source is returned
        as is.
        """
        if self.number is not None:
            return [self]
        return [replace(self, number=lane) for lane in range(self.run.lanes)]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "_LaneReader":
        """A reader of this lane from a mark on, or from the beginning."""
        assert self.number is not None, "the source wasn't split"
        mark = (
            cast(ReadMark, checkpoint_mark).mark if checkpoint_mark is not None else LaneMark(self.run.id, self.number)
        )
        return _LaneReader(self, mark)


coders.registry.register_coder(JournaledSource, ElementCoder)


class _LaneReader(SegmentReader[LaneReader]):
    """A LaneReader under Beam's reader interface."""

    def __init__(self, source: JournaledSource, mark: LaneMark) -> None:
        super().__init__((source.journal, mark.run, mark.lane), mark)
        self._source = source
        self._clock = SystemClock()
        self._blobs = open_blobs(source.journal)
        self._drain = drain_path(source.run.id)
        self._look_interval = source.config.publish_interval
        self._looked_at = 0
        self._timed: TimedReading | None = None

    def new_reader(self, mark: LaneMark) -> LaneReader:
        """See SegmentReader. Raises RunResumedError where the run has a later launch."""
        launch = _LAUNCHES.get((self._source.journal, mark.run))
        if launch is not None:
            check_launch(self._blobs, mark.run, launch)
        broker: Broker = self._broker()
        decode: Any = partial(observe, self._source.readings)
        if tracing():
            broker = self._timed = TimedReading(broker, decode)
            decode = self._timed.decode
        return LaneReader(
            self._blobs,
            self._source.run,
            self._mark.lane,
            broker,
            self._clock,
            decode,
            self._source.config,
            mark=mark,
        )

    def _broker(self) -> Broker:
        interval = segment_interval(self._source.journal, self._source.broker.wait)
        return GatheringBroker(PubSubBroker(self._source.broker), self._clock, interval)

    def start(self) -> bool:
        """See UnboundedReader."""
        return self.advance()

    def advance(self) -> bool:
        """Whether there is a next segment now."""
        if self._current is not None:
            reached("after-emit")
            self._current = None
        self._look_around()
        emitted = self.reader.advance()
        reads_backlog(emitted is not None and emitted.replayed)
        if emitted is None:
            return False
        if self._timed is not None and not emitted.replayed:
            self._timed.emitted(emitted)
        self.give(decoded_segment(emitted, self.reader.common_watermark(), self.reader.opening))
        return True

    def get_watermark(self) -> Timestamp:
        """The run's common watermark, over all lanes; the end of time once all of them are closed."""
        if self.reader.finished():
            return MAX_TIMESTAMP
        return Timestamp(micros=least_of(self.reader.common_watermark()))

    def get_checkpoint_mark(self) -> CheckpointMark:
        """A mark behind the last emitted segment."""
        return ReadMark(self.reader.mark(), self.reader.commit)

    def _look_around(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at >= self._look_interval:
            self._looked_at = now
            if self._blobs.exists(self._drain):
                self.reader.drain()


_LAUNCHES: Final[dict[tuple[str, str], int]] = {}
"""The launch of this process's readers, by journal and run."""
