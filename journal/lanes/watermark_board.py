"""The publications of a run's lanes to one another, by which every lane reports the same watermark.

Each reader publishes under the number of its own opening segment, so that a replaced reader that doesn't know it yet
can't overwrite its replacement's publications. A publication is the name of an object beside a permanent one, so
reading the board takes two listings, however many lanes there are. Rules that hold whatever the interleaving:

- a lane's published watermark never exceeds what it stores with its next segment;
- the common watermark never exceeds what any unfinished lane has published.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from tandem.journal.clocks import Clock
from tandem.journal.lanes.published import Published, highest
from tandem.journal.lanes.watermarks import Watermarks, WatermarkTracker, lowest
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import parse_watermark_name, watermark_folder, watermark_path

__all__ = ["Published", "WatermarkBoard", "newest_epochs", "read_board"]

SNAPSHOT_ATTEMPTS = 8


def read_board(blobs: BlobStore, run: str) -> dict[int, Published] | None:
    """The publications of each lane's newest reader; None when readers come and go too fast to tell.

    The folder is listed twice, and the first listing counts if both have the same readers. A new reader first publishes
    under its own number, then reads its predecessor's values once more and stores at least those: so it knows of any
    value that is read here.
    """
    for _ in range(SNAPSHOT_ATTEMPTS):
        names = _parsed(blobs.list(watermark_folder(run)))
        newest = _newest(names)
        try:
            board = {lane: _said(blobs, run, lane, opening, names) for lane, opening in newest.items()}
        except BlobMissingError:
            continue
        if _newest(_parsed(blobs.list(watermark_folder(run)))) == newest:
            return board
    return None


def newest_epochs(blobs: BlobStore, run: str) -> dict[int, int]:
    """By lane the number of the opening segment of its newest reader; 0: it hasn't opened the lane yet."""
    return _newest(_parsed(blobs.list(watermark_folder(run))))


Names = Mapping[tuple[int, int], Sequence[str]]
"""(lane, number of the opening) -> the encodings in names, "" for the permanent object."""


def _parsed(names: Iterable[str]) -> Names:
    found: dict[tuple[int, int], list[str]] = {}
    for name in names:
        if (parsed := parse_watermark_name(name)) is not None:
            found.setdefault(parsed[:2], []).append(parsed[2])
    return found


def _newest(names: Names) -> dict[int, int]:
    newest: dict[int, int] = {}
    for lane, opening in names:
        newest[lane] = max(newest.get(lane, 0), opening)
    return newest


def _said(blobs: BlobStore, run: str, lane: int, opening: int, names: Names) -> Published:
    """A reader's publication by its names; its first one, where no name has any."""
    said = [published for stated in names[lane, opening] if (published := Published.of(stated)) is not None]
    if said:
        return highest(said)
    path = watermark_path(run, lane, opening)
    return Published.decode(path, blobs.read(path))


class WatermarkBoard:
    """One reader's view of the board."""

    def __init__(
        self,
        blobs: BlobStore,
        clock: Clock,
        run: str,
        lane: int,
        lanes: int,
        sources: Sequence[str],
        interval: int,
    ) -> None:
        """`interval`: microseconds of monotonic time between two publications, and two reads of the others'."""
        self._blobs, self._clock, self._interval = blobs, clock, interval
        self._run, self._lane, self._lanes, self._sources = run, lane, lanes, sorted(sources)
        # a runner may commit a mark from another thread
        self._lock = threading.RLock()
        self._opening = 0
        self._mine: Published | None = None
        self._written: Published | None = None
        self._written_at: int | None = None
        self._stays: int | None = None
        """The opening whose permanent object is written."""
        self._paths: list[str] = []
        """Objects with encodings in their names that may exist."""
        self._others: dict[int, Published] = {}
        self._read_at: int | None = None
        self._reported: dict[str, int | None] = dict.fromkeys(self._sources)

    def publish(self, published: Published, force: bool = False) -> None:
        """Publish if the interval has passed, or `force`. Watermarks that would fall stay; done stays done."""
        with self._lock:
            self._publish(published, force)

    def _publish(self, published: Published, force: bool) -> None:
        done = published.done or (self._mine is not None and self._mine.done)
        self._mine = Published(self._raised(published.watermarks), published.idle, done)
        now = self._clock.monotonic()
        if not force and self._written_at is not None and now - self._written_at < self._interval:
            return
        if force or self._mine != self._written:
            self._write(self._mine)
        self._written, self._written_at = self._mine, now

    def _write(self, published: Published) -> None:
        """Write the permanent object once; then one with the publication in its name, and remove its predecessor."""
        stated, data = published.stated, published.encode()
        if self._stays != self._opening or not stated:
            self._blobs.replace(watermark_path(self._run, self._lane, self._opening), data)
            self._stays, self._paths = self._opening, []
        if stated:
            path = watermark_path(self._run, self._lane, self._opening, stated)
            self._paths = [*(other for other in self._paths if other != path), path]
            self._blobs.replace(path, data)
            for other in self._paths[:-1]:
                self._blobs.remove(other)
            self._paths = [path]

    def take_over(self, opening: int) -> dict[str, int | None]:
        """Publish under a new opening segment from now on; returns the lower bound of the watermarks that the lane's
        segments must store.
        """
        with self._lock:
            return self._take_over(opening)

    def _take_over(self, opening: int) -> dict[str, int | None]:
        older = self._older(opening)
        inherited = self._raised(self._values_of(older))
        self._opening = opening
        if older or self._mine is not None:
            self.publish(Published(inherited), force=True)
        # a reader that still read an older value did so before this second read
        again = self._older_for_sure(opening)
        lifted = WatermarkTracker(dict.fromkeys(self._sources, 0), inherited)
        lifted.lift(self._values_of(again))
        for number, said in {**older, **again}.items():
            for stated in said:
                self._blobs.remove(watermark_path(self._run, self._lane, number, stated))
        return lifted.current()

    def others(self) -> dict[int, Published]:
        """Each lane's publication when last read, including this one's; reads again after the interval."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= self._interval:
            board = read_board(self._blobs, self._run)
            if board is not None:
                self._others, self._read_at = board, now
        return self._others

    def common(self) -> dict[str, int | None]:
        """The watermark that every lane reports: the minimum over the lanes that aren't done. Never falls."""
        board = self.others()
        parts = [lane.watermarks for lane in board.values() if not lane.done]
        if len(board) == self._lanes:
            everyone: list[Watermarks] = parts or [lane.watermarks for lane in board.values()]
            self._reported = _raise(self._reported, lowest(everyone, self._sources))
        return dict(self._reported)

    def to_follow(self) -> dict[str, int | None]:
        """The watermark that an idle lane raises its own to; None: none.

        The minimum of the lanes that aren't idle. When all are idle or done, every lane has seen the subscription
        empty, and it is the maximum: that of a single lane that had read all of it.
        """
        board = {lane: published for lane, published in self.others().items() if lane != self._lane}
        if len(board) < self._lanes - 1:
            return dict.fromkeys(self._sources)
        busy = [lane.watermarks for lane in board.values() if not lane.idle and not lane.done]
        if busy:
            return lowest(busy, self._sources)
        highest = WatermarkTracker(dict.fromkeys(self._sources, 0))
        for lane in board.values():
            highest.lift(lane.watermarks)
        return highest.current()

    def all_done(self) -> bool:
        """Whether every lane of the run has published that it is done."""
        board = self.others()
        return len(board) == self._lanes and all(lane.done for lane in board.values())

    def _older(self, opening: int) -> dict[int, Sequence[str]]:
        """By opening the encodings in names of the lane's earlier readers."""
        names = _parsed(self._blobs.list(watermark_folder(self._run)))
        return {number: said for (lane, number), said in names.items() if lane == self._lane and number < opening}

    def _older_for_sure(self, opening: int) -> dict[int, Sequence[str]]:
        """As `_older`, listed until two in a row agree: a single listing may miss an object that is just being
        replaced.
        """
        seen = self._older(opening)
        while seen and (again := self._older(opening)) != seen:
            seen = again
        return seen

    def _values_of(self, older: Mapping[int, Sequence[str]]) -> dict[str, int | None]:
        values = WatermarkTracker(dict.fromkeys(self._sources, 0))
        for number, said in older.items():
            for stated in said:
                if (published := Published.of(stated)) is not None:
                    values.lift(published.watermarks)
            path = watermark_path(self._run, self._lane, number)
            try:
                values.lift(Published.decode(path, self._blobs.read(path)).watermarks)
            except BlobMissingError:
                continue
        return values.current()

    def _raised(self, watermarks: Watermarks) -> dict[str, int | None]:
        known = self._mine.watermarks if self._mine is not None else dict.fromkeys(self._sources)
        return _raise(known, watermarks)


def _raise(known: Watermarks, new: Mapping[str, int | None]) -> dict[str, int | None]:
    tracker = WatermarkTracker(dict.fromkeys(known, 0), known)
    tracker.lift(new)
    return tracker.current()
