"""Runs one schedule of one sample and compares every answer with the naive oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pyarrow as pa

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import PublishRefusedError
from tandem.verification.alerts import with_rules_near
from tandem.verification.deliveries import DELIVERIES
from tandem.verification.delivering import Delivery
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.oracle import Event, Oracle
from tandem.verification.oracle.windows import compare_windows
from tandem.verification.splits import check_splits
from tandem.verification.world.schedules import Schedule
from tandem.verification.world.whole_days import differing_days
from tandem.verification.world.world import Copy, World, open_world
from tandem.views.answers.point import answer

__all__ = ["Found", "run_schedule"]

_SHARDS = (1, 4, 2, 8)
"""Of successive runs, beginning at a place that the schedule's seed decides: answers don't depend on them."""
_QUIET = ("send", "publish", "wait", "roll")
"""Steps that can't change any answer."""


@dataclass(slots=True)
class Found:
    """Numbers of comparisons, and of the steps between them."""

    answers: int = 0
    boundaries: int = 0
    late: int = 0
    copies: int = 0
    revisions: int = 0
    """Received messages of results, including copies."""
    compared: int = 0
    """Last revisions that were compared with the answer."""
    alerts: int = 0
    """Settled alerts that were compared with a backtest's, at each position of the boundary."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Steps by kind."""


def run_schedule(
    definition: Definition, text: str, payloads: Sequence[bytes], schedule: Schedule, oracle: Oracle | None = None
) -> Found:
    """Run live as scheduled, then batch taking over generation by generation; every answer must be the oracle's.

    Raises Mismatch, also for any other error.
    """
    try:
        return _run(definition, text, payloads, schedule, oracle)
    except (Mismatch, OSError):
        raise
    except Exception as error:
        raise Mismatch(type(error).__name__, f"{type(error).__name__}: {error}") from error


def _run(
    definition: Definition, text: str, payloads: Sequence[bytes], schedule: Schedule, oracle: Oracle | None
) -> Found:
    oracle = oracle or Oracle(compile_definition(definition))
    sent = {pick for kind, pick in schedule.steps if kind == "send"}
    times = [event.time for index in sent if (event := oracle.event(payloads[index])) is not None]
    if times:
        definition = with_rules_near(definition, min(times))
    # Wall clocks show the latest event's time, so that no event is ahead of its publication.
    options: dict[str, Any] = {"start": max(times)} if times else {}
    with open_world(
        definition,
        text,
        payloads,
        seed=schedule.seed,
        lanes=schedule.lanes,
        max_messages=schedule.max_messages,
        shards=_SHARDS[schedule.seed % len(_SHARDS) :] + _SHARDS[: schedule.seed % len(_SHARDS)],
        **options,
    ) as world:
        clock = world.clock.wall, world.clock.advance
        run = _Run(world, oracle, Delivery(world.store, world.compiled, world.blobs, *clock))
        for kind, pick in schedule.steps:
            if kind in DELIVERIES:
                run.delivery.step(kind, pick)
            else:
                world.step(kind, pick)
            run.found.kinds[kind] += 1
            if kind not in _QUIET:
                run.check_growth()
        run.check_end()
        return run.found


@dataclass(slots=True)
class _Run:
    world: World
    oracle: Oracle
    delivery: Delivery
    found: Found = field(default_factory=Found)
    served: dict[tuple[str, int], int] = field(default_factory=dict)
    """Number of events in each answer when it was last read."""

    def check_growth(self) -> None:
        """Check that no answer's number of events falls, and that none counts more events than exist."""
        now = {place: int(row["events"]) for place, row in self.world.answers().items()}
        for place, events in self.served.items():
            if now.get(place, 0) < events:
                raise Mismatch("events", f"{_at(place)}: {events} events were served, now {now.get(place, 0)}")
        there = Counter((event.key, event.tile) for event in self.oracle.counted(self._events(self.world.copies())))
        for place, events in now.items():
            if events > there[place]:
                raise Mismatch("events", f"{_at(place)}: {events} events are served, there are {there[place]}")
        self.served = now

    def _check_rollups(self) -> None:
        """Check that answers over whole days equal those of their tiles."""
        for key, found, wanted in differing_days(self.world):
            raise Mismatch("events", f"key {key}: {found} events in whole days, {wanted} in their tiles")

    def check_end(self) -> None:
        """Check answers once everything is read; then let batch take over, one generation after the other."""
        world = self.world
        world.live.drain()
        self.check_growth()
        try:
            world.serve_live()
        except PublishRefusedError as refused:
            raise Mismatch("serving", f"the live run has all there is, and isn't served: {refused}") from refused
        self._check_live_conservation()
        self.check_answers()
        self._check_results()
        for boundary in range(world.boundary + 1, world.index().sealed + 1):
            work = world.build(upto=boundary)
            if work is None:
                continue
            if not world.publish_batch(work):
                raise Mismatch("publishing", f"batch up to {boundary} isn't published: {world.refusals[-1]}")
            if boundary % 2 == 0:
                world.compact()
            self.check_growth()
            self.check_answers()
            self._check_rollups()
            if world.definition.rules:
                self.delivery.deliver()
        self._check_batch_conservation()
        self._check_results()
        if world.definition.deduplicate:
            self._check_batch_over_all(check_splits(world, Random(len(world.published))))

    def _check_results(self) -> None:
        """Check that the last revision of each window and key is its answer, and settled alerts are a backtest's."""
        if self.world.definition.results or self.world.definition.rules:
            self.delivery.settle()
            self.found.revisions, self.found.compared = self.delivery.receiver.received, self.delivery.compared
            self.found.alerts = self.delivery.alerts.compared

    def check_answers(self) -> None:
        """Check that answers count all events up to the boundary, and those after it that weren't late: no more, no
        less.
        """
        world, definition = self.world, self.world.definition
        boundary, copies = world.boundary, world.copies()
        late = [copy for copy in copies if self._is_late(copy)]
        self.found.late, self.found.copies = len(late), len(copies) - len({copy.data for copy in copies})
        counted = [copy for copy in copies if copy.generation <= boundary or not self._is_late(copy)]
        events = list(self._events(counted))
        sizes = {definition.tile, 3 * definition.tile, *_window_sizes(definition)}
        for size in sorted(sizes):
            answers = world.answers(size)
            self._compare(self.oracle.wrong(answers, events, size), boundary)
            self.found.answers += len(answers)
        self._check_sliding(events, boundary)
        for place, wrong in compare_windows(world.store, self.oracle, events):
            self._compare(wrong, boundary, f"{place}: ")
            self.found.answers += 1
        self.found.boundaries += 1

    def _check_sliding(self, events: Sequence[Event], boundary: int) -> None:
        """Check one window of each key that begins at a tile: a sliding one."""
        world, tile, seen = self.world, self.world.definition.tile, set[str]()
        counted = self.oracle.counted(events)
        for event in sorted(counted, key=lambda event: (event.key, event.tile)):
            if event.key in seen:
                continue
            seen.add(event.key)
            start, end = event.tile - tile, event.tile + 2 * tile
            got = answer(world.store, world.compiled, event.key, start, end)
            mine = [other for other in counted if other.key == event.key and start <= other.tile < end]
            found = {**got.results, "events": got.certificate.events}
            self._compare(self.oracle.wrong_at(found, mine), boundary, f"{_at((event.key, start))} and 2 tiles: ")
            self.found.answers += 1

    def _compare(self, wrong: tuple[str, str] | None, boundary: int, where: str = "") -> None:
        if wrong is not None:
            live = "live alone" if not boundary else f"batch up to generation {boundary} merged with live after it"
            raise Mismatch(wrong[0], f"{live}: {where}{wrong[1]}")

    def _check_batch_over_all(self, block: pa.RecordBatch) -> None:
        """Check batch over all, computed at once. The block's generation column holds the tile."""
        names = [name for name, _ in self.oracle.compiled.measures]
        values = [measure.result(block.column(name)) for name, measure in self.oracle.compiled.measures]
        answers: dict[tuple[str, int], dict[str, Any]] = {}
        for row, (key, tile, events) in enumerate(zip(*(block.column(n).to_pylist() for n in _PLACE), strict=True)):
            answers[key, tile] = {**dict(zip(names, (v[row] for v in values), strict=True)), "events": events}
        wrong = self.oracle.wrong(answers, self._events(self.world.copies()))
        if wrong is not None:
            raise Mismatch(wrong[0], f"batch over all at once: {wrong[1]}")
        self.found.answers += len(answers)

    def _check_live_conservation(self) -> None:
        world, version = self.world, self.world.definition.version
        residues = world.store.residues.of_live_run(version, world.live.run.id)
        rows = world.store.residues.of_rows(version, world.live.run.id)
        if any(residues.values()) or any(rows.values()):
            raise Mismatch("conservation", f"live: residues {residues}, of rows {rows}")
        base = world.store.live.get(version, world.live.run.id).base_boundary
        missing = {copy.generation for copy in world.copies() if copy.generation > base} - residues.keys()
        if missing:
            raise Mismatch("conservation", f"live never received generations {sorted(missing)}")

    def _check_batch_conservation(self) -> None:
        served = self.world.store.publishing.served(self.world.definition.name)
        if served is not None and served.batch_run is not None:
            residues = self.world.store.residues.of_batch_run(served.batch_run)
            if any(residues.values()):
                raise Mismatch("conservation", f"batch: residues {residues}")

    def _events(self, copies: Iterable[Copy]) -> Iterable[Event]:
        return (event for copy in copies if (event := self.oracle.event(copy.data)) is not None)

    def _is_late(self, copy: Copy) -> bool:
        """Whether the copy is late by the rule: its tile has been over for the lateness, by the watermark stored before
        it.
        """
        event, definition = self.oracle.event(copy.data), self.world.definition
        if event is None or copy.watermark is None:
            return False
        return event.tile + definition.tile + definition.lateness <= copy.watermark


_PLACE = (KEY, GENERATION, EVENTS)


def _window_sizes(definition: Definition) -> set[int]:
    """Sizes of windows of a fixed length, in microseconds; others (sessions, calendar days) have none."""
    sizes = (getattr(window, "size", None) for window in definition.windows.values())
    return {size for size in sizes if isinstance(size, int) and size > 0 and size % definition.tile == 0}


def _at(place: tuple[str, int]) -> str:
    return f"key {place[0]}, tile {place[1] / 1e6:.6f} s"
