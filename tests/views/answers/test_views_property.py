"""Whatever is split between batch and live, published, rolled back, pruned or restarted: one answer."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.columns import HASH
from tandem.schemas.errors import PublishRefusedError
from tandem.views.answers.all_steps import all_answers
from tandem.views.rows import BatchManifest, GenerationCounts, LaneExtent

LATE_FROM = 4
"""Generation from which events of the first tile are too late for live."""


@dataclass(frozen=True)
class Message:
    """A copy of event `number`, which says its key, tile and value; or a dead or filtered record."""

    number: int
    lane: str
    generation: int
    kind: str = "event"

    @property
    def key(self) -> str:
        return f"k{self.number % 3}"

    @property
    def tile(self) -> int:
        return (self.number % 4) * 60_000_000

    @property
    def value(self) -> int:
        return 10 + self.number

    @property
    def late(self) -> bool:
        return self.kind == "event" and self.tile == 0 and self.generation >= LATE_FROM


@dataclass
class Fold:
    """A live run as the design has it: the first copy that it processes counts; straddlers are noted."""

    bench: Any
    run: str
    todo: list[tuple[str, int, list[Message]]]
    seen: dict[int, int] = field(default_factory=dict)
    states: dict[tuple[int, int, str], list[int]] = field(default_factory=dict)
    tallies: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    cross_duplicates: dict[int, list[Any]] = field(default_factory=dict)
    on_time: set[int] = field(default_factory=set)

    def take(self, random: Random) -> None:
        """The next segment of some lane: folded and written, in either order, sometimes twice."""
        lane = random.choice(sorted({lane for lane, _, _ in self.todo}))
        index = next(i for i, item in enumerate(self.todo) if item[0] == lane)
        lane, number, messages = self.todo.pop(index)
        changed: set[tuple[int, int, str]] = set()
        for message in messages:
            if message.kind == "event" and not message.late:
                self._count(message, changed)
        writes = [lambda: self._write_states(changed), lambda: self._write_segment(lane, number, messages)]
        again = random.choices(writes, k=random.choice([0, 0, 2]))
        for write in [*random.sample(writes, k=2), *again]:
            write()

    def _count(self, m: Message, changed: set[tuple[int, int, str]]) -> None:
        self.on_time.add(m.number)
        tally = self.tallies.setdefault((m.tile, m.generation), [0, 0])
        if m.number in self.seen:
            tally[1] += 1
            if self.seen[m.number] > m.generation:
                duplicate = self.bench.CrossBoundaryDuplicate(m.number, m.number, self.seen[m.number], m.generation)
                self.cross_duplicates.setdefault(m.tile, []).append(duplicate)
            return
        tally[0] += 1
        self.seen[m.number] = m.generation
        place = (m.tile, m.generation, m.key)
        state = self.states.setdefault(place, [0, 0])
        state[0] += 1
        state[1] += m.value
        changed.add(place)

    def _write_states(self, changed: set[tuple[int, int, str]]) -> None:
        updates = []
        for tile in {tile for tile, _ in self.tallies}:
            rows = [(g, key, *self.states[t, g, key]) for t, g, key in changed if t == tile]
            tallies = [self.bench.Tally(g, *counts) for (t, g), counts in self.tallies.items() if t == tile]
            block, cross_duplicates = self.bench.block(*rows), self.cross_duplicates.get(tile, [])
            updates.append(self.bench.Update(tile, 0, block, tallies, cross_duplicates))
        self.bench.store.live.write(self.bench.compiled, self.run, updates)

    def _write_segment(self, lane: str, number: int, messages: list[Message]) -> None:
        kinds = [m.kind for m in messages]
        late = sum(m.late for m in messages)
        filtered, dead = kinds.count("filtered"), kinds.count("dead")
        routed = len(messages) - late - filtered - dead
        segment = self.bench.Segment(
            lane,
            number,
            messages[0].generation,
            len(messages),
            routed,
            filtered,
            dead,
            ((0, late),) if late else (),
        )
        self.bench.store.live.write_segments(self.bench.version, self.run, [segment])


@dataclass
class Machine:
    """A journal, its live runs and batch runs, and what the answer must be."""

    bench: Any
    random: Random
    messages: list[Message]
    folds: list[Fold] = field(default_factory=list)
    batches: int = 0
    built: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)

    def segments(self, after: int) -> list[tuple[str, int, list[Message]]]:
        found = []
        for lane in sorted({m.lane for m in self.messages}):
            generations = sorted({m.generation for m in self.messages if m.lane == lane})
            for number, generation in enumerate(generations, 1):
                if generation > after:
                    mine = [m for m in self.messages if (m.lane, m.generation) == (lane, generation)]
                    found.append((lane, number, mine))
        return found

    def start(self) -> None:
        """A new live run over the batch run that is served; it takes the served run's lanes over."""
        served = self.bench.store.publishing.served("orders")
        base = served.batch_run if served else None
        boundary = served.boundary if served else 0
        todo = self.segments(boundary)
        done = {} if not self.folds else self._done(self.folds[-1], todo)
        takeover = [LaneExtent(lane, last, first) for lane, (first, last) in done.items()]
        run = f"L{len(self.folds)}"
        self.bench.store.live.start(self.bench.version, run, journal="j", base_batch_run=base, takeover=takeover)
        fold = Fold(self.bench, run, todo)
        if base is not None:
            for tile in range(4):
                ids = self.bench.store.batch.counted_ids(self.bench.version, base, tile * 60_000_000)
                for row in ids.to_pylist():
                    fold.seen[row[HASH]] = row["__generation"]
        self.folds.append(fold)

    def _done(self, fold: Fold, todo: list[Any]) -> dict[str, tuple[int, int]]:
        left = {(lane, number) for lane, number, _ in fold.todo}
        done: dict[str, tuple[int, int]] = {}
        for lane, number, _ in todo:
            if (lane, number) not in left:
                done[lane] = (done.get(lane, (number, 0))[0], number)
        return done

    def build(self) -> str:
        """A batch run up to some boundary, over the served one or from nothing, for the newest live run."""
        served = self.bench.store.publishing.served("orders")
        parent = served.batch_run if served and self.random.random() < 0.7 else None
        before = self.bench.store.batch.get(parent).boundary if parent else 0
        last = max((m.generation for m in self.messages), default=0)
        boundary = self.random.randint(before, last)
        run, fold = f"B{self.batches}", self.folds[-1]
        self.batches += 1
        store, version = self.bench.store, self.bench.version
        store.batch.start(version, run, boundary=boundary, parent=parent, built_for=fold.run)
        counts = {g: GenerationCounts(g) for g in range(before + 1, boundary + 1)}
        updates = [self._batch_tile(tile * 60_000_000, before, boundary, parent, counts) for tile in range(4)]
        for _ in range(self.random.choice([1, 2])):
            store.batch.write(self.bench.compiled, run, updates)
        for m in self.messages:
            if before < m.generation <= boundary:
                kind = {"dead": "dead", "filtered": "filtered"}.get(m.kind)
                _add(counts, m.generation, received=1, **({kind: 1} if kind else {}))
        store.batch.finish(run, BatchManifest(tuple(counts.values())))
        return run

    def _batch_tile(self, tile: int, before: int, boundary: int, parent: str | None, counts: Any) -> Any:
        store, version = self.bench.store, self.bench.version
        seen = set(store.live.cross_duplicate_ids(version, self.folds[-1].run, tile, boundary)[HASH].to_pylist())
        if parent is not None:
            seen |= set(store.batch.counted_ids(version, parent, tile)[HASH].to_pylist())
        rows: dict[tuple[int, str], list[int]] = {}
        ids = []
        for m in self.messages:
            if m.tile != tile or m.kind != "event" or not before < m.generation <= boundary:
                continue
            if m.number in seen:
                _add(counts, m.generation, duplicates=1)
                continue
            seen.add(m.number)
            ids.append((m.number, m.number, m.generation))
            state = rows.setdefault((m.generation, m.key), [0, 0])
            state[0] += 1
            state[1] += m.value
            _add(counts, m.generation, counted=1)
        block = self.bench.block(*((g, key, *state) for (g, key), state in rows.items()))
        return self.bench.Update(tile, 0, block, ids=self.bench.ids(*ids))

    def covered(self) -> set[int]:
        """Every event that batch covers, or that the served live run has taken in on time."""
        served = self.bench.store.publishing.served("orders")
        if served is None:
            return set()
        numbers = {m.number for m in self.messages if m.kind == "event" and m.generation <= served.boundary}
        if served.live_run is not None:
            numbers |= self.folds[int(served.live_run[1:])].on_time
        return numbers

    def check(self) -> None:
        numbers, expected = self.covered(), dict[tuple[str, int], tuple[int, int]]()
        for number in numbers:
            m = Message(number, "", 0)
            events, total = expected.get((m.key, m.tile), (0, 0))
            expected[m.key, m.tile] = (events + 1, total + m.value)
        found = {
            (row.key, row.start): (row.results["n"], row.results["total"])
            for row in all_answers(self.bench.store, self.bench.compiled)
        }
        assert found == expected
        assert numbers >= self.shown, "events that were in an answer are gone"
        self.shown = numbers
        for fold in self.folds:
            if not fold.todo:
                residues = self.bench.store.residues.of_live_run(self.bench.version, fold.run)
                assert set(residues.values()) <= {0}

    def attempt(self, step: str) -> bool:
        """One step; True if it was carried out. What is refused must change nothing."""
        store, version = self.bench.store, self.bench.version
        if step == "restart":
            self.start()
            return True
        fold = self.folds[-1]
        try:
            if step == "take" and fold.todo:
                fold.take(self.random)
            elif step == "serve":
                store.publishing.serve_live("orders", version, fold.run)
            elif step == "build":
                self.built.append(self.build())
            elif step == "publish" and self.built:
                # Not always the newest: a batch run may wait while live goes on, and others are published.
                store.publishing.publish("orders", version, self.random.choice(self.built), fold.run)
            elif step == "roll back":
                store.publishing.roll_back(
                    "orders", self.random.choice(store.publishing.publications("orders")).ordinal
                )
            elif step == "prune":
                store.publishing.prune("orders", keep=self.random.choice([1, 2, 3]))
            else:
                return False
        except PublishRefusedError as error:
            self.refusals.append(str(error))
            return False
        return True


def _add(counts: dict[int, GenerationCounts], generation: int, **more: int) -> None:
    old = counts[generation]
    values = {name: getattr(old, name) + more.get(name, 0) for name in old.__dataclass_fields__}
    counts[generation] = GenerationCounts(**{**values, "generation": generation})


STEPS = [*["take"] * 5, "serve", *["build"] * 3, *["publish"] * 5, "roll back", "prune", "restart"]


def journal(random: Random) -> list[Message]:
    """Messages in lanes and generations; few numbers, so that there are many copies."""
    kinds = ["event"] * 8 + ["filtered", "dead"]
    return [
        Message(
            random.randrange(8),
            random.choice(["run/a", "run/b"]),
            random.randint(1, 4),
            random.choice(kinds),
        )
        for _ in range(random.randint(5, 50))
    ]


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32))
def test_any_split_between_batch_and_live_gives_the_same_answer(bench_class: type[Any], seed: int) -> None:
    with _machine(bench_class, seed) as machine:
        for step in ["restart", "serve", *machine.random.choices(STEPS, k=40)]:
            machine.attempt(step)
            machine.check()
        while machine.folds[-1].todo:
            machine.attempt("take")
        machine.check()


def test_steps_are_really_carried_out(bench_class: type[Any]) -> None:
    """Guards the test above against refusing everything."""
    carried: dict[str, int] = {}
    for seed in range(6):
        with _machine(bench_class, seed) as machine:
            for step in ["restart", "serve", *machine.random.choices(STEPS, k=60)]:
                carried[step] = carried.get(step, 0) + machine.attempt(step)
    assert {step for step, count in carried.items() if count >= 4} == set(STEPS), carried


class _Opened:
    def __init__(self, machine: Machine, folder: tempfile.TemporaryDirectory[str]) -> None:
        self._machine, self._folder = machine, folder

    def __enter__(self) -> Machine:
        return self._machine

    def __exit__(self, *error: object) -> None:
        self._machine.bench.store.close()
        self._folder.cleanup()


def _machine(bench_class: type[Any], seed: int) -> _Opened:
    folder, random = tempfile.TemporaryDirectory(), Random(seed)
    bench = bench_class(str(Path(folder.name) / "views.db"))
    return _Opened(Machine(bench, random, journal(random)), folder)
