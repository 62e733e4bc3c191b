"""A small view with results, driven by hand: what live writes, watermarks, batch runs, the clock; and what is sent."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from samples.sources import VISITS
from samples.updates import Segment, Tally, Update, block_of

from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.errors import DeliveryError
from tandem.schemas.time.durations import MINUTE, SECOND
from tandem.views.outbox.tables import result_outbox
from tandem.views.results.due.expanding import expand_due
from tandem.views.results.tables import result_due, result_revisions, result_waiting
from tandem.views.rows import BatchManifest, Completeness, GenerationCounts
from tandem.views.store import ViewStore

TEXT = (
    VISITS
    + """\
measures: {measures}
results: {{r: {result}}}
"""
)
BEGIN = 1_767_600_000 * SECOND
"""2026-01-05T08:00:00Z."""


STORES: list[Callable[[str], str]] = [str]
"""Makes of a story's path the place of its view store; the last one holds (`servers.postgres_stories`)."""


@dataclass(frozen=True)
class Event:
    """One event, `at` minutes after BEGIN."""

    at: float
    amount: int = 1
    user: str = "ann"
    generation: int = 1

    @property
    def time(self) -> int:
        return BEGIN + int(self.at * MINUTE)


def definition_of(
    result: str, *, tile: str = "1m", lateness: str = "0s", measures: str = "{n: count, amount: {sum: amount}}"
) -> CompiledDefinition:
    """`visits` with one result, `r`, as YAML."""
    return compile_definition(loads(TEXT.format(result=result, tile=tile, lateness=lateness, measures=measures)))


@dataclass
class Capture:
    """An output that keeps what it is given, takes nothing in while `fails` says why, or seems to."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    fails: str = ""
    loses_answers: bool = False

    def send(self, messages: Sequence[Any]) -> dict[int, str]:
        if self.fails:
            raise DeliveryError(self.fails)
        self.sent += [json.loads(message.payload) for message in messages]
        if self.loses_answers:
            raise DeliveryError("no answer came")
        return {}


class Story:
    """A view of events that is written, published and delivered step by step."""

    def __init__(self, path: Path | str, compiled: CompiledDefinition, text: str = "") -> None:
        self.compiled, self.now = compiled, BEGIN
        self.place = STORES[-1](str(path))
        self.store = ViewStore(self.place, clock=lambda: self.now)
        self.store.definitions.register(compiled, text)
        self.version = compiled.version
        self.events: list[Event] = []
        self.late: list[Event] = []
        self.counted: list[Segment] = []
        self.output = Capture()
        self.deliverer = self.new_deliverer("first")
        self.batches, self.segments = 0, 0

    def new_deliverer(self, holder: str) -> Deliverer:
        deliverer = Deliverer(self.store, self.compiled, holder, lambda: self.now)
        deliverer._writers = {output.label: self.output for output in self.compiled.definition.results["r"].to}
        return deliverer

    def beside(self, compiled: CompiledDefinition, run: str) -> Story:
        """Another version in the same store, by a run that isn't served."""
        other = copy.copy(self)
        other.compiled, other.version, other.run = compiled, compiled.version, run
        other.events, other.late, other.output, other.counted = [], [], Capture(), []
        self.store.definitions.register(compiled, "")
        self.store.live.start(compiled.version, run)
        return other

    def catch_up(self, served: Story, *, without: Sequence[str] = ()) -> None:
        """Read the same segments as the run that is served; events of some users are filtered by this version."""
        self.events = [event for event in served.events if event.user not in without]
        self.late, self.counted = list(served.late), list(served.counted)
        for segment in served.counted:
            gone = sum(e.generation == segment.generation and e.user in without for e in served.events)
            kept = replace(segment, routed=segment.routed - gone, filtered=gone)
            self.store.live.write_segments(self.version, self.run, [kept])
        for tile in sorted({self._tile(event) for event in self.events}):
            self._write_tile(tile)

    def serve(self, run: str = "L") -> None:
        """Start a live run and serve it."""
        self.run = run
        self.store.live.start(self.version, run)
        self.store.publishing.serve_live("visits", self.version, run)

    def live(self, *events: Event) -> None:
        """Events that live receives and counts."""
        self.events += events
        self._segment(events)
        for tile in sorted({self._tile(event) for event in events}):
            self._write_tile(tile)

    def too_late(self, *events: Event) -> None:
        """Events that live receives and leaves to batch."""
        self.late += events
        self._segment(events, late=True)

    def watermark(self, minutes: float) -> None:
        self.store.live.set_watermark(self.version, self.run, BEGIN + int(minutes * MINUTE))

    def batch(self, boundary: int, complete_to: float | None = None, *, live: bool = True) -> None:
        """A batch run over everything up to a generation, published."""
        self.batches += 1
        run, before = f"B{self.batches}", f"B{self.batches - 1}" if self.batches > 1 else None
        until = None if complete_to is None else BEGIN + int(complete_to * MINUTE)
        low = self.store.batch.get(before).boundary if before else 0
        told = Completeness(journal_until=until)
        self.store.batch.start(self.version, run, boundary=boundary, parent=before, completeness=told)
        mine = [event for event in [*self.events, *self.late] if low < event.generation <= boundary]
        updates = [
            Update(tile, 0, self._block([e for e in mine if self._tile(e) == tile]))
            for tile in sorted({self._tile(event) for event in mine})
        ]
        self.store.batch.write(self.compiled, run, updates)
        counts = {g: sum(event.generation == g for event in mine) for g in range(low + 1, boundary + 1)}
        manifest = tuple(GenerationCounts(g, received=n, counted=n) for g, n in counts.items())
        self.store.batch.finish(run, BatchManifest(manifest))
        self.store.publishing.publish("visits", self.version, run, self.run if live else None)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def deliver(self) -> list[dict[str, Any]]:
        """What the output is given in one round."""
        seen = len(self.output.sent)
        self.deliverer.run_once()
        return self.output.sent[seen:]

    def told(self) -> list[tuple[Any, ...]]:
        """The same as (timing, user, start in minutes, n)."""
        return [summary(message) for message in self.deliver()]

    def due(self, users: Sequence[str]) -> None:
        """These keys of the first minute are due, by two writes."""
        rows = [("visits", BEGIN, 0, f'["{user}"]', 1 + at % 2) for at, user in enumerate(users)]
        with self.store.database.write() as connection:
            self.store.database.write_rows(connection, self.store.database.overwrite(result_due), rows)

    def waiting(self, over: float) -> list[tuple[int, str]]:
        """(whole, key) of each row that waits, once what is due is noted. `over`: minutes by which windows are over."""
        assert not expand_due(self.store.database, self.compiled.definition, int(BEGIN + over * MINUTE), self.now)
        with self.store.database.read() as connection:
            assert not connection.execute(sa.select(result_due)).all()
            return [(row.whole, row.key) for row in connection.execute(sa.select(result_waiting))]

    def left(self) -> int:
        """Rows that are due or wait for a trigger."""
        with self.store.database.read() as connection:
            counts = (sa.select(sa.func.count()).select_from(table) for table in (result_due, result_waiting))
            return sum(connection.execute(count).scalar_one() for count in counts)

    def outbox(self) -> list[sa.Row[Any]]:
        with self.store.database.read() as connection:
            return list(connection.execute(sa.select(result_outbox).order_by(result_outbox.c.ordinal)))

    def last_ids(self) -> set[str]:
        """The idempotency keys of the last revisions of all windows and keys, by the store."""
        with self.store.database.read() as connection:
            return set(connection.execute(sa.select(result_revisions.c.id)).scalars())

    def last(self) -> dict[tuple[int, str], Any]:
        """The last revision of each window (its start) and key, by the store."""
        with self.store.database.read() as connection:
            rows = connection.execute(sa.select(result_revisions)).all()
        return {(row.start, row.key): json.loads(row.answer) if row.answer is not None else None for row in rows}

    def close(self) -> None:
        self.store.close()

    def _segment(self, events: Sequence[Event], late: bool = False) -> None:
        for generation in sorted({event.generation for event in events}):
            self.segments += 1
            tiles = [self._tile(event) for event in events if event.generation == generation]
            missed = tuple((tile, tiles.count(tile)) for tile in sorted(set(tiles))) if late else ()
            counts = (len(tiles), 0 if late else len(tiles))
            segment = Segment("L/0", self.segments, generation, *counts, late=missed)
            self.counted.append(segment)
            self.store.live.write_segments(self.version, self.run, [segment])

    def _write_tile(self, tile: int) -> None:
        mine = [event for event in self.events if self._tile(event) == tile]
        tallies = [Tally(g, sum(e.generation == g for e in mine)) for g in sorted({e.generation for e in mine})]
        self.store.live.write(self.compiled, self.run, [Update(tile, 0, self._block(mine), tallies)])

    def _tile(self, event: Event) -> int:
        return event.time // self.compiled.definition.tile * self.compiled.definition.tile

    def _block(self, events: Sequence[Event]) -> pa.RecordBatch:
        columns = {name: [getattr(event, name) for event in events] for name in ("user", "amount")}
        times, generations = [event.time for event in events], [event.generation for event in events]
        return block_of(self.compiled, times, generations, columns)


def summary(message: dict[str, Any]) -> tuple[Any, ...]:
    start = message["start"]
    results = message["results"]
    return message["timing"], message["key"]["user"], start[11:16], results["n"] if results is not None else None
