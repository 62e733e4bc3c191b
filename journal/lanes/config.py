"""How a lane reads, and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tandem.journal.clocks import SECOND
from tandem.journal.storage.segments import Codec

__all__ = ["LaneConfig", "LaneCounters", "PullFailures", "RollTimer"]


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """How a lane reads. Durations are microseconds of monotonic time."""

    sources: Mapping[str, int]
    """Source version -> out-of-orderness."""
    max_messages: int = 1_000
    """In one pull, so in one segment."""
    idle_timeout: int = 30 * SECOND
    """Of successful empty pulls, before the watermark moves without events."""
    until_idle: int | None = None
    """Close the lane after this long of successful empty pulls; None: never. Below the subscription's
    acknowledge deadline, messages leased by a reader that died may be left for the next run."""
    generation_interval: int | None = None
    """Begin the next generation when the current one is this old; None: only when asked, or when another lane
    does."""
    publish_interval: int = SECOND // 5
    """Between two publications of the watermark, and two looks at what others published or began."""
    pull_patience: int = 300 * SECOND
    """How long pulls may keep failing before PullFailedError leaves `advance`."""
    codec: Codec = "null"
    publish: Literal["emitted", "committed"] = "emitted"
    """When others may see this lane's watermark: once the runner asks for more after a segment, or once
    `commit` was called with a mark, for runners that can go back to a checkpoint."""


@dataclass(slots=True)
class LaneCounters:
    """What happened, for logs and metrics; no guarantee rests on it."""

    pulled: int = 0
    """Messages pulled and written."""
    replayed: int = 0
    """Segments read from the journal and emitted."""
    failed_pulls: int = 0
    failed_acknowledges: int = 0
    adopted: int = 0
    """Own writes whose outcome had been unknown and that took effect."""


class RollTimer:
    """When a lane begins the next generation, and when it looks whether another lane did."""

    def __init__(self, interval: int | None, look_interval: int, now: int) -> None:
        self.requested = False
        self._interval, self._look_interval = interval, look_interval
        self._begun_at = now
        self._looked_at: int | None = None
        self._newest_at: int | None = None

    def begun(self, now: int, age: int) -> None:
        """The lane has entered a generation that by wall clocks has this age; what the lane has seen itself counts."""
        seen = age if self._newest_at is None else min(age, now - self._newest_at)
        self._begun_at, self.requested = now - seen, False

    def is_newest(self, now: int) -> None:
        """No generation has begun after the lane's."""
        self._newest_at = now

    def is_due(self, now: int) -> bool:
        """Whether to begin the next one."""
        return self.requested or (self._interval is not None and now - self._begun_at >= self._interval)

    def may_look(self, now: int) -> bool:
        """Whether it is time to look; if so the time starts anew."""
        if self._looked_at is not None and now - self._looked_at < self._look_interval:
            return False
        self._looked_at = now
        return True


class PullFailures:
    """For how long pulls have failed without one that succeeded, and whether that is too long."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._since: int | None = None

    def end(self) -> None:
        """A pull has succeeded."""
        self._since = None

    def last_too_long(self, now: int) -> bool:
        """A pull has failed; whether they have failed for as long as the limit."""
        if self._since is None:
            self._since = now
        return now - self._since >= self._limit
