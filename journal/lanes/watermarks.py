"""A lane's watermark per source version: from event times, and while idle from elapsed monotonic time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tandem.journal.clocks import SECOND

__all__ = ["IdleTimer", "WatermarkTracker", "Watermarks", "lowest"]

Watermarks = Mapping[str, int | None]
"""Source version -> microseconds since 1970-01-01 UTC, None: unknown, no event of it is late."""

INT64_MIN: Final = -(2**63)
MAX_PULL_GAP: Final = 10 * SECOND


class WatermarkTracker:
    """The watermark of one lane: the largest event time seen minus the source's out-of-orderness. Never
    falls."""

    def __init__(self, sources: Mapping[str, int], initial: Watermarks | None = None) -> None:
        """`sources`: source version -> out-of-orderness in microseconds, which names all sources."""
        self._bounds = dict(sources)
        self._values: dict[str, int | None] = dict.fromkeys(sorted(self._bounds))
        self.lift(initial or {})

    def current(self) -> dict[str, int | None]:
        """The watermark of each source."""
        return dict(self._values)

    def observe(self, largest_event_times: Watermarks) -> None:
        """Take account of messages; sources that this lane doesn't have are ignored."""
        self.lift(
            {
                source: max(time - self._bounds[source], INT64_MIN)
                for source, time in largest_event_times.items()
                if time is not None and source in self._bounds
            }
        )

    def lift(self, values: Watermarks) -> None:
        """Raise each source's watermark to at least this."""
        for source, value in values.items():
            if source not in self._values or value is None:
                continue
            mine = self._values[source]
            self._values[source] = value if mine is None else max(mine, value)

    def advance(self, duration: int) -> None:
        """Raise known watermarks by `duration` microseconds."""
        for source, value in self._values.items():
            if value is not None:
                self._values[source] = value + duration


class IdleTimer:
    """Measures how long the subscription has been empty: by successful empty pulls in unbroken succession."""

    def __init__(self, timeout: int) -> None:
        """`timeout`: microseconds of monotonic time before idleness counts."""
        self._timeout = timeout
        self._since: int | None = None
        self._last = 0
        self._credited = 0

    def empty_pull(self, now: int) -> int:
        """Note a successful empty pull; returns the duration by which the watermark may advance."""
        # between pulls far apart (a paused process) the subscription wasn't observed, so that time doesn't count as
        # idle
        if self._since is None or now - self._last > self._timeout + MAX_PULL_GAP:
            self._since, self._credited = now, 0
        self._last = now
        due = max(now - self._since - self._timeout, 0)
        credit, self._credited = due - self._credited, due
        return credit

    def interrupt(self) -> None:
        """Note messages, or a failed pull: idleness starts again."""
        self._since, self._credited = None, 0

    @property
    def is_idle(self) -> bool:
        """Whether the timeout has passed."""
        return self._since is not None and self._last - self._since >= self._timeout

    @property
    def elapsed(self) -> int:
        """Microseconds from the first to the last of the empty pulls in succession."""
        return 0 if self._since is None else self._last - self._since


def lowest(parts: list[Watermarks], sources: list[str]) -> dict[str, int | None]:
    """Per source the minimum over all parts; None where a part doesn't know it, or without parts."""
    result: dict[str, int | None] = {}
    for source in sources:
        values = [part.get(source) for part in parts]
        known = [value for value in values if value is not None]
        result[source] = min(known) if known and len(known) == len(values) else None
    return result
