"""The configuration of a lane's reader, and its counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tandem.journal.clocks import SECOND
from tandem.journal.storage.segments import Codec

__all__ = ["LaneConfig", "LaneCounters", "PullFailures", "RollTimer"]


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """Configuration of a lane's reader. Durations are microseconds of monotonic time."""

    sources: Mapping[str, int]
    """Source version -> out-of-orderness."""
    max_messages: int = 1_000
    """Most messages in one pull, and so in one segment."""
    idle_timeout: int = 30 * SECOND
    """Time of successful empty pulls after which the watermark moves without events."""
    until_idle: int | None = None
    """Time of successful empty pulls after which the lane closes; None: never. Below the subscription's acknowledge
    deadline, messages leased by a reader that died may be left for the next run."""
    generation_interval: int | None = None
    """Age of a generation at which the next one begins; None: only on request, or when another lane begins it."""
    publish_interval: int = SECOND // 5
    """Between two publications of the watermark, and two reads of others' publications and markers."""
    pull_patience: int = 300 * SECOND
    """Time of failing pulls after which `advance` raises PullFailedError."""
    codec: Codec = "null"
    publish: Literal["emitted", "committed"] = "emitted"
    """When this lane's watermark is published: once the runner requests the segment after an emitted one, or once
    `commit` was called with a mark, for runners that can go back to a checkpoint."""


@dataclass(slots=True)
class LaneCounters:
    """Counters for logs and metrics; no guarantee rests on them."""

    pulled: int = 0
    """Messages pulled and written."""
    replayed: int = 0
    """Segments read from the journal and emitted."""
    failed_pulls: int = 0
    failed_acknowledges: int = 0
    adopted: int = 0
    """Own writes with an unknown outcome that had taken effect."""


class RollTimer:
    """Decides when a lane begins the next generation, and when it checks whether another lane did."""

    def __init__(self, interval: int | None, look_interval: int, now: int) -> None:
        self.requested = False
        self._interval, self._look_interval = interval, look_interval
        self._begun_at = now
        self._looked_at: int | None = None
        self._newest_at: int | None = None

    def begun(self, now: int, age: int) -> None:
        """Note that the lane has entered a generation of this age by wall clocks; the lane's own observation takes
        precedence.
        """
        seen = age if self._newest_at is None else min(age, now - self._newest_at)
        self._begun_at, self.requested = now - seen, False

    def is_newest(self, now: int) -> None:
        """Note that no generation has begun after the lane's."""
        self._newest_at = now

    def is_due(self, now: int) -> bool:
        """Whether the next generation is to begin."""
        return self.requested or (self._interval is not None and now - self._begun_at >= self._interval)

    def may_look(self, now: int) -> bool:
        """Whether a check is due; if so its interval starts again."""
        if self._looked_at is not None and now - self._looked_at < self._look_interval:
            return False
        self._looked_at = now
        return True


class PullFailures:
    """Measures how long pulls have failed without a success, against a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._since: int | None = None

    def end(self) -> None:
        """Note a successful pull."""
        self._since = None

    def last_too_long(self, now: int) -> bool:
        """Note a failed pull; returns whether pulls have failed for as long as the limit."""
        if self._since is None:
            self._since = now
        return now - self._since >= self._limit
