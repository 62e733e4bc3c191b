"""Rules of the state machine: messages, readers, panes, and runs that die, wake up and go back."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from without_runner.clock_jumps import set_wall

from state_machine.laws import Laws
from state_machine.model import Event, payload
from state_machine.world import FencedReader, MachineLive
from tandem.journal.broker.interface import AcknowledgeFailedError
from tandem.journal.clocks import SECOND
from tandem.journal.lanes.reader import LaneReader
from tandem.schemas.errors import FencedError
from tandem.transforms.elements import TileKey
from tandem.verification.world.live_run import Crash

__all__ = ["MESSAGES", "PICK", "READER_DEATHS", "LiveRules"]

READER_DEATHS = ("after-pull", "after-write", "after-segment", "after-acknowledge", "bundle")
FAULTS = (["landed"], ["lost", "landed"], ["lost"] * 3, ["landed", "lost", "lost"], ["delayed", "lost", "lost"])
GARBAGE = (b"{", b"[]", b'{"id": "x", "at": 1}', b'{"id": 1, "at": "?", "shop": "a"}')
MESSAGES = (
    "publish",
    "publish",
    "duplicate",
    "duplicate",
    "conflict",
    "reorder",
    "delay",
    "leap",
    "evolve schema",
    "corrupt",
)
SURROUNDINGS = ("wait", "wait", "clock set back", "journal times out", "delayed write lands", "broker fails")
PICK = st.integers(0, 255)


class LiveRules(Laws):
    """Everything up to the live view."""

    now: int
    sent: list[tuple[Event, str]]
    replaced: list[MachineLive]
    checkpoint: Callable[[], None] | None
    seal: Callable[[int], None]
    build: Callable[[int, bool], None]
    publish_view: Callable[[int, str], None]

    # Messages

    def send(self, count: int, pick: int, back: int = 0, step: int = 1, writer: str = "same") -> None:
        for _ in range(count):
            at = self.now - back * SECOND + pick * 1000
            event = Event(f"e{len(self.sent)}", at, "ab"[(pick + len(self.sent)) % 2], pick % 7 - (pick % 7 == 6) * 9)
            if writer == "older":
                event = Event(event.id, event.at, event.shop, 5)
            self.sent.append((event, writer))
            self.world.broker.publish(payload(event, writer))
            self.now += step * SECOND

    # Writers with their own revision of the schema: 'older', 'newer'. By attributes that name the revision it comes
    # to the same, once a definition can list revisions: give `send` those attributes.
    def message(self, kind: str, pick: int) -> None:
        if kind == "publish":
            self.send(1 + pick % 3, pick, step=pick % 5)
        elif kind == "duplicate" and self.sent:
            event, writer = self.sent[-1 - pick % min(8, len(self.sent))]
            self.world.broker.publish(payload(event, writer))
        elif kind == "conflict" and self.sent:
            known, _ = self.sent[-1 - pick % min(8, len(self.sent))]
            self.world.broker.publish(payload(Event(known.id, known.at, known.shop, known.amount + 10)))
        elif kind == "reorder":
            self.now += 6 * SECOND
            self.send(3, pick, step=-2)
            self.now += 6 * SECOND
        elif kind == "delay":
            self.send(1, pick, back=(3, 12, 25, 60)[pick % 4], step=0)
        elif kind == "leap":
            self.now += (15 + pick % 20) * SECOND
        elif kind == "corrupt":
            self.world.broker.publish(GARBAGE[pick % len(GARBAGE)])
        elif kind == "evolve schema":
            self.send(1, pick, writer=("older", "newer")[pick % 2])

    @rule(kinds=st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=4), pick=PICK)
    def publish(self, kinds: list[str], pick: int) -> None:
        """Messages of several kinds."""
        for kind in kinds:
            self.message(kind, pick)
            type(self).happened[f"message: {kind}"] += 1
        self.note("publish", *kinds, pick)

    # Live

    def pull(self, lane: int, fails: str | None = None) -> str:
        try:
            return "segment" if self.live.pull(lane % len(self.live.readers), fails) else "nothing"
        except FencedReader as fenced:
            self.note("the present reader was fenced")
            if "seal" in str(fenced):
                self.take_over(1 + lane % 2, "")
            return "fenced"
        except (OSError, AcknowledgeFailedError):
            self.note("the journal timed out")
            return "timed out"

    @rule(pick=PICK, times=st.integers(1, 4))
    def read(self, pick: int, times: int) -> None:
        """Bundles of a lane: replay, or pull, write a segment, acknowledge, emit."""
        self.note("read", pick % len(self.live.readers), *(self.pull(pick) for _ in range(times)))

    @rule(pick=PICK, at=st.sampled_from(READER_DEATHS))
    def reader_dies(self, pick: int, at: str) -> None:
        """Before or after write, acknowledge or emit; 'bundle': the runner throws away what was emitted."""
        self.send(1, pick)
        before = len(self.live.replaced)
        self.pull(pick, at)
        self.note(f"reader dies: {at}" if len(self.live.replaced) != before else "reader survives")

    @rule(pick=PICK, served=st.booleans())
    def redelivery(self, pick: int, served: bool) -> None:
        """A lane writes and dies; another counts the copy first, in a later generation: a straddler."""
        if len(self.live.readers) == 1:
            self.take_over(2, "")
        self.flow(pick)
        first, other = pick % len(self.live.readers), (pick + 1) % len(self.live.readers)
        self.send(1, pick)
        self.pull(first, "after-segment")
        self.live.readers[other].request_roll()
        self.world.clock.advance(21 * SECOND)
        for lane in (other, other, other, first, first):
            self.pull(lane)
            if self.live.pending:
                self.live.fire(min(self.live.pending))
        self.note("redelivery")
        if served:
            # up to a boundary between the copies
            self.seal(pick)
            if self.sealed > self.boundary:
                self.build(0, False)
                self.publish_view(0, "")

    def tile(self, pick: int) -> TileKey:
        waiting = sorted(self.live.pending)
        return waiting[pick % len(waiting)]

    @precondition(lambda self: self.live.pending)
    @rule(pick=PICK, all_of_them=st.booleans())
    def fire(self, pick: int, all_of_them: bool) -> None:
        tiles = sorted(self.live.pending) if all_of_them else [self.tile(pick)]
        for key in tiles:
            self.live.fire(key)
        self.note("fire", len(tiles))

    @rule(pick=PICK, pane=st.booleans(), before=st.booleans())
    def store_dies(self, pick: int, pane: bool, before: bool) -> None:
        """Around the commit of a pane's states; or of a segment's tallies, its watermark, or the serving of the run."""
        if pane and not self.live.pending:
            self.send(1, pick)
            self.pull(pick)
        pane = pane and bool(self.live.pending)
        self.world.fuse.light(1 if pane else 1 + pick % 2, before=before)
        if pane:
            self.live.fire(self.tile(pick))
        else:
            self.send(1, pick)
            self.pull(pick)
        what = f"{'pane' if pane else 'segment'} dies {'before' if before else 'after'} commit"
        self.note("store survives" if self.world.fuse.out() else what)

    def flow(self, pick: int) -> None:
        """Everything goes through: what most of the time happens."""
        self.send(2, pick)
        for lane in range(len(self.live.readers)):
            for _ in range(6):
                if self.pull(lane) not in ("segment", "fenced"):
                    break
        while self.live.pending:
            self.live.fire(min(self.live.pending))
        self.note("flow")

    flows = rule(pick=PICK)(flow)
    flows_again = rule(pick=PICK)(flow)

    @rule(kinds=st.lists(st.sampled_from(SURROUNDINGS), min_size=1, max_size=3), pick=PICK)
    def surroundings(self, kinds: list[str], pick: int) -> None:
        """Clocks, the object store and the broker do what they do."""
        for kind in kinds:
            self.surrounding(kind, pick)

    def surrounding(self, kind: str, pick: int) -> None:
        world = self.world
        if kind == "wait":
            world.clock.advance((1, 5, 12, 21)[pick % 4] * SECOND)
        elif kind == "clock set back":
            set_wall(world.clock, world.clock.wall() - pick * 1000 * SECOND)
        elif kind == "journal times out":
            world.blobs.faults.extend(FAULTS[pick % len(FAULTS)])
        elif kind == "delayed write lands":
            world.blobs.deliver()
        elif kind == "broker fails":
            world.broker.failing_pulls, world.broker.failing_acknowledges = pick % 2, 1
        self.note(kind, pick)

    # Runs

    @rule(lanes=st.integers(1, 2), at=st.sampled_from(["", "", "", "after-link", "before commit", "after commit"]))
    def restart(self, lanes: int, at: str) -> None:
        """Another run takes over; the one before sleeps, and may wake up. The start itself may be killed."""
        self.send(1, lanes)
        self.pull(0)
        self.take_over(lanes, at)
        self.message("duplicate", lanes)
        self.message("duplicate", lanes + 3)
        self.flow(lanes)

    def take_over(self, lanes: int, at: str) -> None:
        if at == "after-link":
            self.world.armed.name = at
        elif at:
            self.world.fuse.light(1, before=at.startswith("before"))
        before = self.live
        try:
            self.world.live = self.world.start(lanes)
        except (Crash, OSError):
            self.note("start dies", at or "by the journal")
        else:
            self.replaced, self.checkpoint = [*self.replaced, before][-3:], None
            self.note("restart", lanes)
        finally:
            self.world.armed.name = None
            self.world.fuse.out()

    @precondition(lambda self: self.replaced or self.live.paused)
    @rule(pick=PICK, publishes=st.booleans())
    def zombie(self, pick: int, publishes: bool) -> None:
        """A reader that was replaced wakes up: of this run, or of an earlier one with all that stands behind it."""
        if publishes:
            self.send(1, pick)
        if self.live.paused and (pick % 2 or not self.replaced):
            self.note("zombie", self.wake(self.live.paused[pick % len(self.live.paused)]))
            return
        old = self.replaced[pick % len(self.replaced)]
        try:
            got = old.pull(pick % len(old.readers))
        except FencedReader:
            self.note("zombie fenced", "run")
        except (FencedError, OSError):
            pass
        else:
            self.note("zombie run", got)
        if old.pending:
            old.fire(min(old.pending))
            self.note("zombie fires")

    def wake(self, reader: LaneReader) -> str:
        """What it emits is the runner's to throw away: another has its lane."""
        try:
            emitted = reader.advance()
        except FencedError:
            self.note("zombie fenced", "reader")
            return "fenced"
        except OSError:
            return "timed out"
        if emitted is not None and not emitted.replayed:
            self.note("zombie writes first")
        return "segment" if emitted else "nothing"

    @precondition(lambda self: not self.live.behind)
    @rule(pick=PICK)
    def checkpoint_or_restore(self, pick: int) -> None:
        """The runner keeps a checkpoint and works on, or goes back to the last; the store has seen more by then."""
        if self.checkpoint is None:
            self.checkpoint = self.live.checkpoint()
            self.note("checkpoint")
            self.flow(pick)
            return
        self.checkpoint()
        self.checkpoint = None
        self.note("restore", len(self.live.behind))
        type(self).happened["restore behind the store"] += bool(self.live.behind)
