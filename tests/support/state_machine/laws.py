"""Laws of the state machine, checked after every step, and what every rule of it needs."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant
from oracles.told import check_told

from state_machine.model import KEYS, LATENESS, START, TILE, Event, answers_of
from state_machine.world import MachineLive, MachineWorld
from tandem.schemas.certificate import Certificate, Status
from tandem.schemas.errors import PublishRefusedError
from tandem.transforms.sinks.views import serve_when_caught_up
from tandem.verification.world.whole_days import differing_days
from tandem.views.answers.point import series
from tandem.views.live.conservation import batch_residues, live_residues, row_residues
from tandem.views.lookups import find_batch_run

__all__ = ["NAME", "Laws", "Serving", "Trace", "store_folder"]

NAME = "machine"
SETTLED = 6
"""Of so many examples one is read to its very end: that takes as long as ten steps."""

Trace = list[str]


@dataclass(frozen=True)
class Serving:
    """What is served."""

    boundary: int = 0
    run: MachineLive | None = None
    batch_run: str | None = None


class Laws(RuleBasedStateMachine):
    """What must hold of one world; the class counts what happened over all examples, and keeps their traces."""

    happened: ClassVar[Counter[str]] = Counter()
    traces: ClassVar[list[Trace]] = []
    folder: ClassVar[Path | None] = None
    shards: ClassVar[Sequence[int]] = (1,)

    trace: Trace
    world: MachineWorld
    served: dict[tuple[str, int], int]
    dropped: set[tuple[str, int]]
    seed: int
    sealed: int
    looks: int
    serving: Serving
    checked: tuple[int, int]

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

    def look(self) -> Serving:
        """What is served now, read in one go."""
        served = self.world.store.publishing.served(NAME)
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
        if before != self.serving:
            wrong = list(differing_days(self.world))
            assert not wrong, f"events in whole days, and in their tiles: {wrong}"
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
            fired = (copy.segment, copy.event.tile, copy.event.key) in run.fired
            on_their_way[copy.generation] += (copy.segment in run.received) - fired
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
            self.check_completeness(found.certificate, boundary, every_key)
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

    def check_completeness(self, found: Certificate, boundary: int, moved: bool) -> None:
        """Batch says to be complete no further than the lanes told; only a new pointer can change that."""
        type(self).happened["complete to"] += found.complete_to is not None
        if moved and boundary:
            check_told(self.world.blobs, boundary, found.complete_to)

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
                world.store.publishing.serve_live(NAME, world.definition.version, live.run.id)
                raise AssertionError("served at the second attempt")
            self.note("end refused")
        self.note("end")
        self.check_served()


def _difference(found: object, wanted: object) -> str:
    assert isinstance(found, dict)
    assert isinstance(wanted, dict)
    places = [place for place in sorted({*found, *wanted}) if found.get(place) != wanted.get(place)]
    return "; ".join(f"{place}: {found.get(place)} instead of {wanted.get(place)}" for place in places[:3])


def store_folder(machine: type[Laws]) -> Path:
    """For the store, in memory where the machine has a file system for that."""
    if machine.folder is None:
        memory = Path("/dev/shm")
        made = tempfile.mkdtemp(prefix="tandem-machine-", dir=memory if memory.is_dir() else None)
        Laws.folder = machine.folder = Path(made)
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return machine.folder
