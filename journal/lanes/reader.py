"""One lane's reader: replay, take over, open, then pull, write, acknowledge, emit.

The state machine under the runner's unbounded reader. It never blocks for longer than one pull, keeps nothing
leased between two calls of `advance`, and emits nothing that isn't in the journal.
"""

from __future__ import annotations

import secrets
from collections import deque

from tandem.journal.broker.interface import AcknowledgeFailedError, Broker, PulledBatch, PullFailedError
from tandem.journal.clocks import Clock
from tandem.journal.lanes.config import LaneConfig, LaneCounters, PullFailures, RollTimer
from tandem.journal.lanes.cursor import Emitted, LaneCursor, Observe, ReplayMerge
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.starting import check_reader, first_label, merge_of
from tandem.journal.lanes.watermark_board import Published, WatermarkBoard
from tandem.journal.lanes.watermarks import IdleTimer, WatermarkTracker
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.generations import generation_age, latest_generation, next_generation
from tandem.journal.runs.heartbeats import Heartbeat
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.segments import Kind, Segment
from tandem.schemas.errors import FencedError, LaunchError
from tandem.schemas.failpoints import Failpoint, reached

__all__ = ["LaneReader"]


class LaneReader:
    """Reads one lane of one run from a mark on; each `advance` returns one segment."""

    def __init__(
        self,
        blobs: BlobStore,
        manifest: RunManifest,
        lane: int,
        broker: Broker,
        clock: Clock,
        observe: Observe,
        config: LaneConfig,
        *,
        mark: LaneMark | None = None,
        nonce: str | None = None,
        failpoint: Failpoint = reached,
    ) -> None:
        """Without a mark it replays from the beginning. Raises LaunchError for a mark or sources of another run."""
        check_reader(manifest, lane, config, mark)
        start = mark or LaneMark(manifest.id, lane)
        self.manifest, self.lane = manifest, lane
        self._name = lane_name(manifest.id, lane)
        self.counters = LaneCounters()
        self._blobs, self._broker, self._clock, self._observe = blobs, broker, clock, observe
        self._config, self._failpoint = config, failpoint
        self._nonce = nonce or secrets.token_hex(8)
        self._tracker = WatermarkTracker(config.sources, start.watermarks)
        self._cursor = LaneCursor(blobs, manifest.id, lane, start.number, self._tracker, observe)
        self._merge = None if start.replayed else merge_of(blobs, manifest, lane, config, observe, start)
        self._writer: LaneWriter | None = None
        self.opening: int | None = None
        """Number of the segment with which it has opened its lane."""
        self._board = WatermarkBoard(
            blobs, clock, manifest.id, lane, manifest.lanes, list(config.sources), config.publish_interval
        )
        self._heartbeat = Heartbeat(blobs, clock, manifest.id, manifest.heartbeat_interval)
        self._idle = IdleTimer(config.idle_timeout)
        self._pending: deque[Emitted] = deque()
        self._rolls = RollTimer(config.generation_interval, config.publish_interval, clock.monotonic())
        self._failures = PullFailures(config.pull_patience)
        self._draining = False
        self._fenced: FencedError | None = None
        self._done = start.done
        if self._done:
            self._board.take_over(start.number + 1)
            self._close()

    def advance(self) -> Emitted | None:
        """The next segment, already in the journal; None when there is none now.

        Raises FencedError (stop for good; nothing more was acknowledged), PullFailedError, SegmentError, OSError (the
        store failed; may be called again).
        """
        if self._fenced is not None:
            raise self._fenced
        self._heartbeat.beat()
        if self._config.publish == "emitted":
            self._publish()
        try:
            emitted = self._step()
        except FencedError as error:
            self._fenced = error
            raise
        if emitted is not None:
            self.counters.replayed += emitted.replayed
        return emitted

    def mark(self) -> LaneMark:
        """The position after the last result of `advance`. A reader made with it emits exactly the next segments."""
        number = self._cursor.number if self._writer is None else self._writer.number
        if self._pending:
            number = self._pending[0].header.number - 1
        return LaneMark(
            run=self.manifest.id,
            lane=self.lane,
            number=number,
            replay=self._merge.positions() if self._merge else (),
            replayed=self._merge is None,
            watermarks=self._tracker.current(),
            published=self._publishable(),
            done=self._done and not self._pending,
        )

    def commit(self, mark: LaneMark) -> None:
        """Publish the watermark of a mark before which the runner will never go back (for publish="committed")."""
        if mark.run != self.manifest.id or mark.lane != self.lane:
            raise LaunchError(f"mark of lane {lane_name(mark.run, mark.lane)} given to {self._name}")
        self._board.publish(Published(mark.published, self._idle.is_idle, mark.done), force=mark.done)

    def common_watermark(self) -> dict[str, int | None]:
        """The watermark per source version that every lane of the run reports; None: unknown as yet. Never falls."""
        return self._board.common()

    def finished(self) -> bool:
        """Whether every lane of the run is closed and emitted: only then may any of them report the end."""
        return self._done and not self._pending and self._board.all_done()

    def request_roll(self) -> None:
        """Begin the next generation at the next `advance` that is past replay."""
        self._rolls.requested = True

    def drain(self) -> None:
        """Stop pulling: close the lane at the next `advance` that is past replay."""
        self._draining = True

    @property
    def done(self) -> bool:
        """Whether this lane is closed by its own run and completely emitted."""
        return self._done and not self._pending

    def _step(self) -> Emitted | None:
        if self._pending:
            return self._pending.popleft()
        if self._done:
            return None
        if self._merge is not None and (replayed := self._replay(self._merge)) is not None:
            return replayed
        if self._writer is None:
            emitted = self._take_over()
            if emitted is not None or self._done or self._writer is None:
                return emitted
        writer = self._writer
        if self._roll(writer) and self._draining:
            return self._finish(writer)
        return self._pending.popleft() if self._pending else self._pull(writer)

    def _replay(self, merge: ReplayMerge) -> Emitted | None:
        emitted = merge.next()
        if emitted is None:
            self._merge = None
            return None
        for position in merge.positions():
            # the lane continues from the highest watermark, as a single reader of everything would
            self._tracker.lift(position.watermarks)
        return emitted

    def _take_over(self) -> Emitted | None:
        """Emit the own lane's existing segments, then open it."""
        if self._cursor.peek() is not None:
            return self._cursor.take()
        if self._cursor.final is not None:
            if self._cursor.final != self.manifest.id:
                raise FencedError(f"lane {self._name}: sealed for ever by run {self._cursor.final}")
            # above every opening, so that earlier readers' publications no longer count
            self._board.take_over(self._cursor.number + 1)
            self._close()
            return None
        self._cursor.refuse_gap()
        self._open()
        return None

    def _open(self) -> None:
        place = (self._blobs, self.manifest, self.lane, self._nonce, self._clock)
        number, label = self._cursor.number, first_label(self._blobs, self.manifest, self.lane, self._cursor)
        config, failpoint = self._config, self._failpoint
        writer = LaneWriter(*place, number=number, generation=label, codec=config.codec, failpoint=failpoint)
        age = self._age(writer.generation)
        if writer.open(self._tracker.current()):
            self._tracker.lift(self._board.take_over(writer.number))
            self._writer, self.opening = writer, writer.number
            self._rolls.begun(self._clock.monotonic(), age)

    def _roll(self, writer: LaneWriter) -> bool:
        """Begin or adopt generations that are due. False when that found something to emit first."""
        now = self._clock.monotonic()
        if self._rolls.is_due(now):
            next_generation(self._blobs, self._clock, writer.generation, f"{self._name} {self._nonce}")
            self._failpoint("after-marker")
        elif not self._rolls.may_look(now):
            return True
        current = latest_generation(self._blobs, writer.generation)
        while current > writer.generation:
            age = self._age(current)
            adopted = writer.seal(current - 1, self._tracker.current())
            self._rolls.begun(now, age)
            if adopted is not None and self._adopt(adopted):
                return False
        self._rolls.is_newest(now)
        return True

    def _age(self, generation: int) -> int:
        """The age by which the next generation is due, also when readers are made anew meanwhile."""
        interval = self._config.generation_interval
        return 0 if interval is None else generation_age(self._blobs, self._clock, generation, interval)

    def _pull(self, writer: LaneWriter) -> Emitted | None:
        try:
            batch = self._broker.pull(self._config.max_messages)
        except PullFailedError as error:
            self._failed_pull(error)
            return None
        self._failures.end()
        self._failpoint("after-pull")
        if batch.messages.num_rows == 0:
            return self._empty_pull(writer)
        self._idle.interrupt()
        return self._write(writer, batch)

    def _write(self, writer: LaneWriter, batch: PulledBatch) -> Emitted | None:
        payload, largest = self._observe(batch.messages)
        watermarks = self._tracker.current()
        written = writer.append(batch.messages, watermarks)
        if isinstance(written, Segment):
            # this batch is neither written nor acknowledged: it comes again
            self._adopt(written)
            return self._pending.popleft() if self._pending else None
        self._pending.append(Emitted(written, batch.messages, payload, watermarks, replayed=False))
        self._tracker.observe(largest)
        self.counters.pulled += batch.messages.num_rows
        try:
            self._broker.acknowledge(batch.ack_ids)
        except AcknowledgeFailedError:
            self.counters.failed_acknowledges += 1
        self._failpoint("after-acknowledge")
        return self._pending.popleft()

    def _adopt(self, segment: Segment) -> bool:
        """Treat an own earlier write by its kind; True if there is something to emit."""
        self.counters.adopted += 1
        header = segment.header
        if header.kind is not Kind.DATA:
            return False
        payload, largest = self._observe(segment.messages)
        self._tracker.lift(header.watermarks)
        self._pending.append(Emitted(header, segment.messages, payload, dict(header.watermarks), replayed=True))
        self._tracker.observe(largest)
        return True

    def _empty_pull(self, writer: LaneWriter) -> Emitted | None:
        self._tracker.advance(self._idle.empty_pull(self._clock.monotonic()))
        if self._idle.is_idle:
            self._tracker.lift(self._board.to_follow())
        until = self._config.until_idle
        if until is not None and self._idle.elapsed >= until:
            return self._finish(writer)
        return None

    def _failed_pull(self, error: PullFailedError) -> None:
        self.counters.failed_pulls += 1
        self._idle.interrupt()
        if self._failures.last_too_long(self._clock.monotonic()):
            raise error

    def _finish(self, writer: LaneWriter) -> Emitted | None:
        """Close the own lane for ever."""
        while not writer.final:
            adopted = writer.seal_finally(self._tracker.current())
            if adopted is not None and self._adopt(adopted):
                return self._pending.popleft()
        self._close()
        return None

    def _close(self) -> None:
        self._done = True
        if self._config.publish == "emitted":
            self._publish(force=True)

    def _publish(self, force: bool = False) -> None:
        done = self._done and not self._pending
        self._board.publish(Published(self._publishable(), self._idle.is_idle, done), force=force)

    def _publishable(self) -> dict[str, int | None]:
        """The watermark below which no segment still to be emitted falls."""
        if self._pending:
            return dict(self._pending[0].watermarks)
        if self._merge is not None and (lowest := self._merge.lowest()) is not None:
            return lowest
        return self._cursor.watermarks() if self._writer is None else self._tracker.current()
