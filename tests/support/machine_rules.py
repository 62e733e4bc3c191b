"""The state machine: rules over journal, live runs, view store and pointer; laws that hold after every step."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from machine_model import KEYS, LATENESS, START, TILE, Event, answers_of, payload
from machine_world import FencedReader, MachineLive, MachineWorld
from reconciled import repaired, tampered

from journal.broker import AcknowledgeFailedError
from journal.clocks import SECOND
from journal.lane_reader import LaneReader
from proving.live_run import Crash
from schemas.certificate import Certificate, Status
from schemas.errors import FencedError, PublishRefusedError
from transforms.elements import TileKey
from transforms.sinks import serve_when_caught_up
from views.answers import answer, series
from views.conservation import batch_residues, live_residues, row_residues
from views.lookups import find_batch_run
from views.rows import DeadLetterStatus

__all__ = ["Machine", "Trace"]

NAME = "machine"
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
SETTLED = 6
"""Of so many examples one is read to its very end: that takes as long as ten steps."""
PICK = st.integers(0, 255)

Trace = list[str]


@dataclass(frozen=True)
class Serving:
    """What is served."""

    boundary: int = 0
    run: MachineLive | None = None
    batch_run: str | None = None


class Machine(RuleBasedStateMachine):
    """One world; the class counts what happened over all examples, and keeps their traces."""

    happened: ClassVar[Counter[str]] = Counter()
    traces: ClassVar[list[Trace]] = []
    folder: ClassVar[Path | None] = None

    @initialize(seed=st.integers(0, 999), lanes=st.integers(1, 2), sales=st.integers(0, 6))
    def begin(self, seed: int, lanes: int, sales: int) -> None:
        self.trace: Trace = []
        type(self).traces.append(self.trace)
        self.world = MachineWorld(_folder(type(self)), seed, lanes)
        self.now = START
        self.sent: list[tuple[Event, str]] = []
        self.replaced: list[MachineLive] = []
        self.checkpoint: Callable[[], None] | None = None
        self.served: dict[tuple[str, int], int] = {}
        self.dropped: set[tuple[str, int]] = set()
        self.seed, self.sealed, self.looks, self.repairs = seed, 0, 0, 0
        self.serving = Serving()
        self.checked: tuple[int, int] = (-1, -1)
        self.note("begin", lanes)
        self.send(sales, 1)

    @property
    def boundary(self) -> int:
        """Of what was served after the last step."""
        return self.serving.boundary

    def note(self, what: str, *details: object) -> None:
        """Count it, and write it into the trace."""
        type(self).happened[what] += 1
        self.trace.append(" ".join(map(str, (what, *details))))

    @property
    def live(self) -> MachineLive:
        return self.world.live

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
            world.clock.set_wall(world.clock.wall() - pick * 1000 * SECOND)
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

    # Generations, batch, the pointer

    @rule(pick=PICK)
    def roll(self, pick: int) -> None:
        """One lane begins a generation; the others hear of it in their own time."""
        self.live.readers[pick % len(self.live.readers)].request_roll()
        self.note("roll", self.pull(pick))

    def seal(self, pick: int) -> None:
        """All lanes go over to the next generation."""
        lanes = len(self.live.readers)
        for lane in [pick % lanes, *range(lanes)]:
            for _ in range(4):
                if self.pull(lane) not in ("segment", "fenced"):
                    break
            if lane == pick % lanes and self.world.index().current == self.sealed + 1:
                self.live.readers[lane].request_roll()
                self.pull(lane)
            self.world.clock.advance(SECOND // 2)
        self.sealed = self.world.index().sealed
        self.note("seal", self.sealed)

    seals = rule(pick=PICK)(seal)

    def build(self, pick: int, meanwhile: bool) -> None:
        before = self.world.boundary
        upto = before + 1 + pick % (self.sealed - before)
        interlude = (lambda: self.go_on(pick)) if meanwhile else (lambda: None)
        self.note("backfill", upto, "nothing" if self.world.build(upto, interlude) is None else "built")

    @precondition(lambda self: self.sealed > self.boundary)
    @rule(pick=PICK, meanwhile=st.booleans())
    def backfill(self, pick: int, meanwhile: bool) -> None:
        """Up to any sealed generation; live goes on between its bundles."""
        self.build(pick, meanwhile)

    def go_on(self, pick: int) -> None:
        self.pull(pick)
        if self.live.pending:
            self.live.fire(self.tile(pick))

    @precondition(lambda self: self.sealed > self.boundary)
    @rule(nth=st.integers(1, 5), before=st.booleans())
    def backfill_dies(self, nth: int, before: bool) -> None:
        """Around any of its commits; what it leaves is never served."""
        self.world.fuse.light(nth, before=before)
        with suppress(Crash):
            self.world.build(self.sealed)
        self.note("backfill survives" if self.world.fuse.out() else "backfill dies")

    @rule(pick=PICK)
    def hand_over(self, pick: int) -> None:
        """Live to batch, without any trouble but a publisher that dies; then a late event, now and then."""
        self.flow(pick)
        self.seal(pick)
        if self.sealed > self.world.boundary:
            self.build(pick, False)
            self.publish_view(0, ("", "", "before", "after")[pick % 4])
        if pick % 3 == 0:
            self.message("delay", 3)
            self.pull(pick)

    def move_pointer(self, what: str, move: Callable[[], object]) -> None:
        try:
            move()
        except PublishRefusedError:
            self.note(f"{what} refused")
        except Crash:
            self.note(f"{what} dies")
        else:
            self.note(what, self.world.boundary)
        self.world.fuse.out()

    def publish_view(self, pick: int, dies: str) -> None:
        """Of the last batch runs one, with the live run that is served, as backfill does; it may be killed."""
        work = self.world.built[-1 - pick % min(2, len(self.world.built))]
        if dies:
            self.world.fuse.light(1, before=dies == "before")
        served, version = self.world.store.served(NAME), self.world.definition.version
        live_run = served.live_run if served is not None else work.live_run
        self.move_pointer("publish view", lambda: self.world.store.publish(NAME, version, work.batch_run, live_run))

    publishes = precondition(lambda self: self.world.built)(
        rule(pick=PICK, dies=st.sampled_from(["", "", "before", "after"]))(publish_view)
    )

    @precondition(lambda self: self.world.built)
    @rule(pick=PICK)
    def roll_back(self, pick: int) -> None:
        """To any publication that there was; also forward again."""
        publications = self.world.store.publications(NAME)
        target = publications[pick % len(publications)]
        crossed = target.boundary != self.world.boundary
        self.move_pointer("roll back", lambda: self.world.store.roll_back(NAME, target.ordinal))
        type(self).happened["roll back across a boundary"] += crossed and self.world.boundary == target.boundary

    @precondition(lambda self: self.boundary or self.live.received)
    @rule(keep=st.integers(0, 2))
    def tidy(self, keep: int) -> None:
        """Prune all but the newest publications; or (0) give the dead letters up."""
        if keep:
            self.prune(keep)
        else:
            self.drop_dead_letters()

    def prune(self, keep: int) -> None:
        self.world.store.prune(NAME, keep)
        store, version = self.world.store, self.world.definition.version
        self.replaced = [run for run in self.replaced if store.live_run(version, run.run.id).status != "DROPPED"]
        self.note("prune", keep)

    def drop_dead_letters(self) -> None:
        store, version = self.world.store, self.world.definition.version
        with store.database.read() as connection:
            query = "SELECT position FROM dead_letters WHERE status = 'open' ORDER BY position"
            positions = list(connection.exec_driver_sql(query).scalars())
        store.resolve_dead_letters(version, positions, DeadLetterStatus.DROPPED)
        self.dropped |= set().union(*(run.received for run in self.world.runs.values()))
        self.note("drop dead letters", len(positions))

    @precondition(lambda self: self.boundary and not self.live.behind)
    @rule(pick=PICK)
    def reconcile(self, pick: int) -> None:
        """With a row of batch broken or lost, or with none: that is found, repaired, and nothing else is."""
        mend = tampered(self.world, pick // 3) if pick % 3 else ()
        self.repairs += 1
        found = repaired(self.world, f"r-{self.repairs}", START)
        with self.world.store.database.write() as connection:
            for statement in mend:
                connection.exec_driver_sql(statement)
        assert found is None or found == bool(mend), f"{found} states repaired, {bool(mend)} broken"
        self.note("reconcile refused" if found is None else "reconcile repairs" if mend else "reconcile", found)

    @rule(pick=PICK, size=st.integers(1, 4))
    def query(self, pick: int, size: int) -> None:
        """A window of several tiles, with its certificate."""
        events, taken = self.expected()
        start = START // TILE * TILE + (pick % 8 - 2) * TILE
        key = KEYS[pick % 2]
        found = answer(self.world.store, self.world.compiled, key, start, start + size * TILE)
        inside = [e for e in events if e.key == key and start <= e.tile < start + size * TILE]
        if self.serving.run is None or not self.serving.run.behind:
            assert found.certificate.events == len(inside), f"{found.certificate.events} events, not {len(inside)}"
            assert found.results["amount"] == (sum(e.amount for e in inside) if inside else None)
        if found.certificate.status is Status.FINAL:
            assert set(inside) == {e for e in taken if e.key == key and start <= e.tile < start + size * TILE}
        self.note("query", found.certificate.status)

    # Laws

    def look(self) -> Serving:
        """What is served now, read in one go."""
        served = self.world.store.served(NAME)
        if served is None:
            return Serving()
        return Serving(served.boundary, self.world.runs.get(served.live_run or ""), served.batch_run)

    def expected(self) -> tuple[set[Event], set[Event]]:
        """(what is to be served, what the served views know of)."""
        boundary, run = self.serving.boundary, self.serving.run
        if run is None:
            return set(), set()
        return self.world.model.events(boundary, run.fired), self.world.model.taken_in(boundary, run.received)

    @invariant()
    def laws(self) -> None:
        """All of them, in an order in which the first that fails says most."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.model.scan(world.blobs)
        self.sealed = world.index().sealed
        lost = world.broker.acknowledged - world.model.messages
        assert not lost, f"acknowledged, and in no segment: {sorted(lost)}"
        # a store without a commit, and a journal without a segment more: what was found stands
        state = (world.fuse.commits, len(world.model.copies))
        if state != self.checked:
            self.check_served()
            self.checked = state

    def check_served(self) -> None:
        """Parity, falling numbers, conservation and honesty of what is served."""
        before, self.serving = self.serving, self.look()
        boundary, run = self.serving.boundary, self.serving.run
        if run is None:
            assert not self.world.answers()
            return
        events, taken = self.expected()
        answers = self.world.answers()
        numbers = {place: row["events"] for place, row in answers.items()}
        fallen = {place: count for place, count in self.served.items() if numbers.get(place, 0) < count}
        assert not fallen, f"numbers of events fell: {fallen}, now {[numbers.get(place) for place in fallen]}"
        self.served = numbers
        if not run.behind:
            wanted = answers_of(events)
            assert answers == wanted, f"parity: {_difference(answers, wanted)}"
            self.check_conservation(run)
        else:
            known = answers_of(taken)
            assert all(count <= known.get(place, {"count": 0})["count"] for place, count in numbers.items()), "too many"
        self.check_honesty(boundary, run, events, taken, every_key=before != self.serving)
        self.trace[-1] += f" | {boundary} {sorted(numbers.values())}"

    def check_conservation(self, run: MachineLive) -> None:
        """The residue of every generation is what was received and is in no pane yet; batch has none."""
        store = self.world.store
        with store.database.read() as connection:
            residues = live_residues(connection, run.number)
            rows = row_residues(connection, run.number)
            batch = {}
            if self.serving.batch_run is not None:
                ordinal = find_batch_run(connection, self.serving.batch_run).ordinal
                batch = batch_residues(connection, store.chains.of(connection, ordinal))
        on_their_way = Counter[int]()
        for copy in self.world.model.copies:
            if copy.event is None or not copy.counts or copy.late or copy.generation <= run.base:
                continue
            received, fired = copy.segment in run.received, (copy.segment, copy.event.tile) in run.fired
            on_their_way[copy.generation] += received - fired
        wrong = {g: (r, on_their_way[g]) for g, r in residues.items() if r != on_their_way[g]}
        assert not wrong, f"residues, and events on their way: {wrong}"
        assert not any(rows.values()), f"tallies and rows differ: {rows}"
        assert not any(batch.values()), f"batch has a residue: {batch}"

    def check_honesty(
        self, boundary: int, run: MachineLive, events: set[Event], taken: set[Event], *, every_key: bool
    ) -> None:
        """Certificates say what is missing, and FINAL only when nothing is. All keys when the pointer moved."""
        start = min((event.tile for event in taken), default=START // TILE * TILE)
        end = max((event.tile for event in taken), default=start) + TILE
        self.looks += 1
        for key in KEYS if every_key else (KEYS[self.looks % 2],):
            found = series(self.world.store, self.world.compiled, key, start, end)
            self.check_certificate(found.certificate, boundary, run, start, end)
            for point in found.points:
                type(self).happened[f"point {point.status}"] += 1
                if point.status is not Status.FINAL:
                    continue
                assert self.serving.batch_run is not None, "FINAL without a batch run"
                mine = {e for e in events if e.key == key and e.tile == point.start}
                missing = {e for e in taken if e.key == key and e.tile == point.start} - mine
                assert not missing, f"FINAL without {sorted(missing)}"
                assert found.certificate.dead_letters == found.certificate.in_flight == 0
                assert found.certificate.watermark is not None
                assert found.certificate.watermark >= point.end + LATENESS

    def check_certificate(self, found: Certificate, boundary: int, run: MachineLive, start: int, end: int) -> None:
        """What it names as missing is what the journal's segments say."""
        copies = self.world.model.copies
        late = [
            c
            for c in copies
            if c.late
            and c.segment in run.received
            and c.generation > boundary
            and c.event is not None
            and start <= c.event.tile < end
        ]
        assert found.pending_late == len(late), f"pending late: {found.pending_late}, by the rule {len(late)}"
        received = set().union(*(each.received for each in self.world.runs.values())) - self.dropped
        dead = sum(copy.event is None for copy in copies if copy.segment in received)
        assert found.dead_letters == dead, f"dead letters: {found.dead_letters}, there are {dead}"
        type(self).happened["late events seen"] += bool(late)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world.store.database.read() as connection:
            for table in ("straddlers", "batch_left_out"):
                found = connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM {table})").scalar()
                type(self).happened[table] += bool(found)
        try:
            if self.seed % SETTLED == 0:
                self.settle()
        finally:
            self.world.close()

    def settle(self) -> None:
        """Nothing fails any more: the last run reads all that was ever published, and it is served."""
        world = self.world
        world.blobs.faults.clear()
        world.broker.failing_pulls = world.broker.failing_acknowledges = 0
        world.live = live = world.start(1)
        live.finish()
        world.model.scan(world.blobs)
        assert world.model.messages == set(world.broker.published), "a message is lost"
        if not serve_when_caught_up(world.store, world.definition, live.run.id):
            with suppress(PublishRefusedError):
                # it may be refused for one reason: batch left events to the run before it
                world.store.serve_live(NAME, world.definition.version, live.run.id)
                raise AssertionError("served at the second attempt")
            self.note("end refused")
        self.note("end")
        self.check_served()


def _difference(found: object, wanted: object) -> str:
    assert isinstance(found, dict)
    assert isinstance(wanted, dict)
    places = [place for place in sorted({*found, *wanted}) if found.get(place) != wanted.get(place)]
    return "; ".join(f"{place}: {found.get(place)} instead of {wanted.get(place)}" for place in places[:3])


def _folder(machine: type[Machine]) -> Path:
    """For the store, in memory where the machine has a file system for that."""
    if machine.folder is None:
        memory = Path("/dev/shm")
        made = tempfile.mkdtemp(prefix="tandem-machine-", dir=memory if memory.is_dir() else None)
        Machine.folder = machine.folder = Path(made)
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return machine.folder
