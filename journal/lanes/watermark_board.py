"""What the lanes of a run publish to one another, so that every lane reports the same watermark.

Each reader publishes under the number of its own opening segment, so that a reader that was replaced and
doesn't know it yet can't overwrite what its replacement publishes. Rules that hold whatever the interleaving:

- what a lane has published never exceeds what it stores with its next segment;
- the common watermark never exceeds what any unfinished lane has published.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tandem.journal.clocks import Clock
from tandem.journal.lanes.watermarks import Watermarks, WatermarkTracker, lowest
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.journal.storage.layout import parse_watermark_name, watermark_folder, watermark_path
from tandem.schemas.errors import JournalError

__all__ = ["Published", "WatermarkBoard", "newest_epochs", "read_board"]

SNAPSHOT_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Published:
    """What one lane tells the others."""

    watermarks: Watermarks = field(default_factory=dict)
    idle: bool = False
    """Successful empty pulls for the idle timeout: it follows the others, so nobody follows it while others
    work."""
    done: bool = False
    """It has closed its lane itself and emitted all of it."""

    def encode(self) -> bytes:
        """JSON."""
        content = {"watermarks": dict(self.watermarks), "idle": self.idle, "done": self.done}
        return encode_document(content)

    @staticmethod
    def decode(path: str, data: bytes) -> Published:
        """The inverse of encode. Raises JournalError naming the path."""
        try:
            content = decode_document(data, "watermarks", "idle", "done")
            return Published(content["watermarks"], content["idle"], content["done"])
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path}: not a published watermark: {error}") from None


def read_board(blobs: BlobStore, run: str) -> dict[int, Published] | None:
    """What each lane's newest reader has published; None when readers come and go too fast to tell.

    The folder is listed before and after reading. A new reader first publishes under its own number, then
    reads its predecessor's values once more and stores at least those: so a value read here is one that it
    knows of.
    """
    for _ in range(SNAPSHOT_ATTEMPTS):
        before = _newest(blobs.list(watermark_folder(run)))
        try:
            paths = {lane: watermark_path(run, lane, opening) for lane, opening in before.items()}
            board = {lane: Published.decode(path, blobs.read(path)) for lane, path in paths.items()}
        except BlobMissingError:
            continue
        if _newest(blobs.list(watermark_folder(run))) == before:
            return board
    return None


def newest_epochs(blobs: BlobStore, run: str) -> dict[int, int]:
    """By lane the number of the opening segment of its newest reader; 0: it hasn't opened the lane yet."""
    return _newest(blobs.list(watermark_folder(run)))


def _newest(names: Sequence[str]) -> dict[int, int]:
    newest: dict[int, int] = {}
    for name in names:
        if (parsed := parse_watermark_name(name)) is not None:
            newest[parsed[0]] = max(newest.get(parsed[0], 0), parsed[1])
    return newest


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
        """`interval`: microseconds of monotonic time between two publications, and two looks at the
        others'."""
        self._blobs, self._clock, self._interval = blobs, clock, interval
        self._run, self._lane, self._lanes, self._sources = run, lane, lanes, sorted(sources)
        # a runner may commit a mark from another thread
        self._lock = threading.RLock()
        self._opening = 0
        self._mine: Published | None = None
        self._written: Published | None = None
        self._written_at: int | None = None
        self._others: dict[int, Published] = {}
        self._read_at: int | None = None
        self._reported: dict[str, int | None] = dict.fromkeys(self._sources)

    def publish(self, published: Published, force: bool = False) -> None:
        """Publish if the interval has passed, or `force`; watermarks that would fall stay, done stays
        done."""
        with self._lock:
            self._publish(published, force)

    def _publish(self, published: Published, force: bool) -> None:
        done = published.done or (self._mine is not None and self._mine.done)
        self._mine = Published(self._raised(published.watermarks), published.idle, done)
        now = self._clock.monotonic()
        if not force and self._written_at is not None and now - self._written_at < self._interval:
            return
        if force or self._mine != self._written:
            self._blobs.replace(watermark_path(self._run, self._lane, self._opening), self._mine.encode())
        self._written, self._written_at = self._mine, now

    def take_over(self, opening: int) -> dict[str, int | None]:
        """Publish under a new opening segment from now on; returns what the lane's segments must store at
        least."""
        with self._lock:
            return self._take_over(opening)

    def _take_over(self, opening: int) -> dict[str, int | None]:
        older = self._older(opening)
        inherited = self._raised(self._values_of(older))
        self._opening = opening
        if older or self._mine is not None:
            self.publish(Published(inherited), force=True)
        # anyone who still read an older value did so before this second look at it
        lifted = WatermarkTracker(dict.fromkeys(self._sources, 0), inherited)
        lifted.lift(self._values_of(older))
        for number in older:
            self._blobs.remove(watermark_path(self._run, self._lane, number))
        return lifted.current()

    def others(self) -> dict[int, Published]:
        """What each lane had published when last looked, this one included; looks again after the
        interval."""
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
        """What an idle lane raises its watermark to; None: nothing.

        The minimum of the lanes that aren't idle. When all are idle or done, the subscription is seen empty
        by everybody, and the maximum: what one lane that had read all of it would have.
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

    def _older(self, opening: int) -> list[int]:
        names = map(parse_watermark_name, self._blobs.list(watermark_folder(self._run)))
        return [name[1] for name in names if name is not None and name[0] == self._lane and name[1] < opening]

    def _values_of(self, epochs: Sequence[int]) -> dict[str, int | None]:
        values = WatermarkTracker(dict.fromkeys(self._sources, 0))
        for number in epochs:
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
