"""The followed source: all lanes of another run's journal, as one reader under Beam's UnboundedSource.

It never pulls and never seals. The watermarks that the writer stored in the segments decide lateness; for a source
section that the writer doesn't have, the lane's earlier events do, in order, as for the lane's own reader.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, cast

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import CheckpointMark
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.cursor import Emitted
from tandem.journal.storage.layout import drain_path
from tandem.journal.storage.opening import open_blobs
from tandem.journal.tail import Follower, FollowerMark
from tandem.runners.beam_patches import reading_progress
from tandem.schemas.definition.loading import Definition
from tandem.schemas.time.durations import DAY
from tandem.transforms.elements import SourceBatch
from tandem.transforms.sources.bundle_clock import reads_backlog
from tandem.transforms.sources.decoding import SourceReading, observe, source_readings
from tandem.transforms.sources.lane_elements import ElementCoder, ReadSources
from tandem.transforms.sources.segments import (
    LEAST,
    ReadMark,
    SegmentReader,
    SegmentSource,
    batches_of,
    decoded_segment,
    least_of,
)

__all__ = ["FollowConfig", "FollowedSource", "ReadFollowed", "judged_by"]

reading_progress.apply()


@dataclass(frozen=True, slots=True)
class FollowConfig:
    """The settings of following a journal. Durations are microseconds of monotonic time."""

    run: str
    """The follower's name, see `tandem.journal.tail.follower_id`."""
    boundary: int
    """The last generation that is skipped."""
    sources: Mapping[str, int]
    """Source version -> out-of-orderness."""
    idle_timeout: int
    until_idle: int | None = None
    """How long without a new segment until following ends; None: it never ends."""
    look_interval: int = 200_000
    """The interval of checks for new segments, new runs, and the request to end."""


@dataclass
class ReadFollowed(beam.PTransform):  # type: ignore[misc]
    """All lanes of a journal, decoded: PCollection[SourceBatch], each stamped with its earliest event time."""

    definitions: tuple[Definition, ...]
    journal: str
    """Folder of the journal."""
    follow: FollowConfig
    poll_interval: float = 0.1
    """Seconds between two checks of a journal without new segments."""
    max_segments_per_bundle: int = 100
    max_seconds_per_bundle: float = 1.0

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[SourceBatch]:
        source = FollowedSource(self.journal, self.follow, source_readings(self.definitions))
        read = ReadSources(
            [source],
            poll_interval=self.poll_interval,
            max_records_per_bundle=self.max_segments_per_bundle,
            max_read_time_seconds=self.max_seconds_per_bundle,
        )
        segments = begin | "Lanes" >> read
        return segments | "Batches" >> beam.FlatMap(batches_of).with_output_types(SourceBatch)


@dataclass(frozen=True)
class FollowedSource(SegmentSource):
    """All lanes, as one split: a follower writes nothing, so several couldn't agree on a watermark."""

    journal: str
    config: FollowConfig
    readings: tuple[SourceReading, ...]
    marks: ClassVar = FollowerMark

    def split(self, desired_num_splits: int, options: Any = None) -> "list[FollowedSource]":
        """The source itself, whatever number is desired."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "_FollowerReader":
        """A reader from a mark on, or from the boundary."""
        mark = cast(ReadMark, checkpoint_mark).mark if checkpoint_mark is not None else FollowerMark()
        return _FollowerReader(self, mark)


coders.registry.register_coder(FollowedSource, ElementCoder)


@dataclass
class _Progress:
    """This process's state of a follower, shared by all its readers."""

    stated: int = LEAST
    """The last watermark reported to the runner, microseconds UTC."""
    active_at: int | None = None
    """The monotonic time of the last segment; before the first, of the first check."""
    ended: bool = False


_PROGRESS: Final[dict[tuple[str, str], _Progress]] = {}


class _FollowerReader(SegmentReader[Follower]):
    """A Follower under Beam's reader interface."""

    def __init__(self, source: FollowedSource, mark: FollowerMark) -> None:
        place = (source.journal, source.config.run)
        super().__init__(place, mark)
        self._source = source
        self._clock = SystemClock()
        self._blobs = open_blobs(source.journal)
        self._looked_at: int | None = None
        self._progress = _PROGRESS.setdefault(place, _Progress())

    def new_reader(self, mark: FollowerMark) -> Follower:
        """See SegmentReader."""
        config = self._source.config
        return Follower(
            self._blobs,
            self._clock,
            partial(observe, self._source.readings),
            config.sources,
            boundary=config.boundary,
            mark=mark,
            idle_timeout=config.idle_timeout,
            look_interval=config.look_interval,
        )

    def advance(self) -> bool:
        """Whether there is a next segment now."""
        self._look_around()
        if self._progress.ended:
            return False
        emitted = self.reader.advance()
        reads_backlog(emitted is not None and self.reader.behind)
        if emitted is None:
            return False
        self._progress.active_at = self._clock.monotonic()
        judged = replace(emitted, watermarks=judged_by(emitted, self._progress.stated))
        self.give(decoded_segment(judged, self.reader.watermark()))
        return True

    def get_watermark(self) -> Timestamp:
        """The lower bound of the event times still to come; the end of time once following has ended."""
        if self._progress.ended:
            return MAX_TIMESTAMP
        self._progress.stated = max(self._progress.stated, least_of(self.reader.watermark()))
        return Timestamp(micros=self._progress.stated)

    def get_checkpoint_mark(self) -> CheckpointMark:
        """A mark behind the last emitted segment. There are no leases, so nothing is acknowledged."""
        return ReadMark(self.reader.mark())

    def _look_around(self) -> None:
        now, config, progress = self._clock.monotonic(), self._source.config, self._progress
        if progress.active_at is None:
            progress.active_at = now
        if self._looked_at is not None and now - self._looked_at < config.look_interval:
            return
        self._looked_at = now
        idle = config.until_idle is not None and now - progress.active_at >= config.until_idle
        progress.ended = progress.ended or idle or self._blobs.exists(drain_path(config.run))


def judged_by(emitted: Emitted, stated: int) -> dict[str, int | None]:
    """The watermarks that decide which events of a segment are late: those stored with it, but at least `stated` less a
    day.

    A run that starts much later can store far lower watermarks than those reported to the runner (`stated`) while the
    journal had no open lane, and a runner drops events that are more than a day later than the definition allows: such
    events are late here, so that they are in the late ledger, and batch has them.
    """
    least = stated - DAY if stated > LEAST else None
    return {
        source: stored if least is None else least if stored is None else max(stored, least)
        for source, stored in emitted.watermarks.items()
    }
