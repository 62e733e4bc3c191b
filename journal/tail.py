"""Follows a journal that another run writes: never pulls, never seals, writes nothing at all.

A follower reads all lanes of all runs after its boundary, including later runs, as one reader: since it writes nothing,
several of them couldn't agree on one watermark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tandem.journal.clocks import SECOND, Clock
from tandem.journal.lanes.cursor import Emitted, LaneCursor, Observe, merge_order, number_before
from tandem.journal.lanes.marks import LanePosition
from tandem.journal.lanes.watermark_board import read_board
from tandem.journal.lanes.watermarks import Watermarks, WatermarkTracker
from tandem.journal.runs.manifests import RunManifest, list_runs
from tandem.journal.storage.blobs import BlobStore
from tandem.schemas.errors import JournalError

__all__ = ["Follower", "FollowerMark", "follower_id", "is_follower"]

FORMAT = 1
_PREFIX = "f-"


def follower_id(clock: Clock, nonce: str) -> str:
    """A new follower run's name; names sort by start time. Runs that write never have such names."""
    return f"{_PREFIX}{clock.wall():017d}-{nonce}"


def is_follower(run: str) -> bool:
    """Whether a live run's name is a follower's."""
    return run.startswith(_PREFIX)


@dataclass(frozen=True, slots=True)
class FollowerMark:
    """A position of a follower; a follower resumed from it emits the following segments."""

    positions: tuple[LanePosition, ...] = ()

    def encode(self) -> bytes:
        """JSON; equal marks have equal bytes."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, separators=(",", ":")).encode()

    @staticmethod
    def decode(data: bytes) -> FollowerMark:
        """The inverse of encode. Raises JournalError."""
        try:
            content = json.loads(data)
            if content["format"] != FORMAT:
                raise JournalError(f"follower mark of format {content['format']!r}, this reader knows {FORMAT}")
            return FollowerMark(tuple(LanePosition(**position) for position in content["positions"]))
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"not a follower mark: {error}") from None


class _Followed:
    """One lane, with its known end."""

    def __init__(self, cursor: LaneCursor, manifest: RunManifest, now: int) -> None:
        self.cursor, self.manifest = cursor, manifest
        self.published: Watermarks = {}
        """Read before the lane's last check for more, so no later segment has a lower one."""
        self.at_end_since: int | None = now

    def look(self, published: Watermarks, now: int) -> None:
        """Read on if the lane has more."""
        if self.cursor.ready:
            return
        if self.cursor.peek() is None:
            self.cursor.refuse_gap_at_hand()
            self.published = published
            self.at_end_since = now if self.at_end_since is None else self.at_end_since
        else:
            self.at_end_since = None

    @property
    def finished(self) -> bool:
        return self.cursor.final is not None and not self.cursor.ready


class Follower:
    """Tails every lane; each `advance` returns one segment, that with the lowest watermark first."""

    def __init__(
        self,
        blobs: BlobStore,
        clock: Clock,
        observe: Observe,
        sources: Mapping[str, int],
        *,
        boundary: int = 0,
        mark: FollowerMark | None = None,
        idle_timeout: int = 30 * SECOND,
        look_interval: int = SECOND // 5,
    ) -> None:
        """`sources`: source version -> out-of-orderness (µs). Generations up to `boundary` are left out.

        `idle_timeout` applies to sources that the writer doesn't know; a lane's end is checked every `look_interval`
        (both µs of monotonic time).
        """
        self._blobs, self._clock, self._observe = blobs, clock, observe
        self._sources, self._boundary = dict(sources), boundary
        self._idle_timeout, self._look_interval = idle_timeout, look_interval
        self._start = {(p.run, p.lane): p for p in (mark.positions if mark else ())}
        self._runs: dict[int, RunManifest] = {}
        self._lanes: list[_Followed] = []
        self._looked_at: int | None = None
        self._reported: dict[str, int | None] = dict.fromkeys(sorted(sources))

    def advance(self) -> Emitted | None:
        """The next segment; None when there is none now. Raises SegmentError, OSError."""
        self._look()
        ready = [lane.cursor for lane in self._lanes if lane.cursor.ready]
        if not ready:
            return None
        cursor = min(ready, key=merge_order)
        emitted = cursor.take()
        # its next segment, if it exists, must count before the watermark is read
        lane = next(lane for lane in self._lanes if lane.cursor is cursor)
        lane.look(lane.published, self._clock.monotonic())
        return emitted

    def watermark(self) -> dict[str, int | None]:
        """The watermark per source version: no segment still to be emitted has a lower one. Never falls."""
        values = {source: self._value(source) for source in self._reported}
        raised = WatermarkTracker(dict.fromkeys(self._reported, 0), self._reported)
        raised.lift(values)
        self._reported = raised.current()
        for lane in self._lanes:
            unknown = self._sources.keys() - set(lane.manifest.sources)
            if not lane.cursor.ready:
                # no writer stored a watermark for these: later segments are judged by the reported one
                lane.cursor.tracker.lift({source: self._reported[source] for source in unknown})
        return dict(self._reported)

    @property
    def reported(self) -> dict[str, int | None]:
        """The last result of `watermark`."""
        return dict(self._reported)

    def mark(self) -> FollowerMark:
        """The position after the last result of `advance`."""
        return FollowerMark(tuple(lane.cursor.position() for lane in self._lanes))

    @property
    def behind(self) -> bool:
        """Whether more segments wait already."""
        return any(lane.cursor.ready for lane in self._lanes)

    def finished(self) -> bool:
        """Whether every existing lane was closed by its own run or sealed by another, and is completely emitted."""
        return bool(self._lanes) and all(lane.finished for lane in self._lanes)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if self._looked_at is not None and now - self._looked_at < self._look_interval:
            return
        self._looked_at = now
        self._add_runs(now)
        for manifest in self._runs.values():
            lanes = [lane for lane in self._lanes if lane.manifest is manifest and lane.cursor.final is None]
            board = read_board(self._blobs, manifest.id) if lanes else None
            for lane in lanes:
                known = board.get(lane.cursor.lane) if board is not None else None
                lane.look(known.watermarks if known else lane.published, now)

    def _add_runs(self, now: int) -> None:
        runs = list_runs(self._blobs, self._runs)
        for ordinal in sorted(runs.keys() - self._runs.keys()):
            manifest = runs[ordinal]
            for lane in range(manifest.lanes):
                self._lanes.append(_Followed(self._cursor(manifest.id, lane), manifest, now))
        self._runs = runs

    def _cursor(self, run: str, lane: int) -> LaneCursor:
        position = self._start.get((run, lane))
        number = position.number if position else number_before(self._blobs, run, lane, self._boundary)
        tracker = WatermarkTracker(self._sources, position.watermarks if position else None)
        return LaneCursor(self._blobs, run, lane, number, tracker, self._observe)

    def _value(self, source: str) -> int | None:
        """The lowest watermark that any lane may still store, or for a source unknown to its writer, still have."""
        now = self._clock.monotonic()
        values: list[int | None] = []
        for lane in self._lanes:
            if lane.finished:
                continue
            value = lane.cursor.watermarks_so_far()[source]
            if not lane.cursor.ready:
                if source in lane.manifest.sources:
                    known = [v for v in (value, lane.published.get(source)) if v is not None]
                    value = max(known, default=None)
                elif lane.at_end_since is not None and now - lane.at_end_since >= self._idle_timeout:
                    continue
            values.append(value)
        if values:
            return None if None in values else min(v for v in values if v is not None)
        every = [lane.cursor.tracker.current()[source] for lane in self._lanes]
        return max((value for value in every if value is not None), default=None)
