"""What a round of decisions costs after days of windows: `python -m benchmarks.parts.decision_rounds --days 100`.

The store has verdicts of minutes of so many days, by keys and rules; batch has settled all but the last day. In each
round all keys have a new event in the minute that is open, and the rules, which are `early`, judge it. Processor
seconds are those of this process: of the first round, for which everything is read, of later ones (the median), and of
those in which a minute has ended.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from tandem.schemas.columns import GENERATION, ID, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.states import aggregate
from tandem.schemas.time.durations import DAY, MINUTE, SECOND
from tandem.transforms.elements import FoldUpdate, SegmentTally, Tally
from tandem.transforms.routing.seen_ids import ids_batch, merge_sorted
from tandem.views.decisions.draining import Decider
from tandem.views.decisions.parts import all_parts, part_of, write_verdicts
from tandem.views.decisions.progress import Progress, write_progress
from tandem.views.decisions.verdicts import KeptVerdicts
from tandem.views.decisions.windows import grid_of
from tandem.views.rows import BatchManifest, Completeness, GenerationCounts
from tandem.views.store import ViewStore

__all__ = ["main"]

_BEGIN: Final = 1_767_600_000 * SECOND
_TEXT: Final = """
name: visits
source:
  schema: {type: record, name: Visit, fields: [
    {name: id, type: string}, {name: at, type: {type: long, logicalType: timestamp-micros}},
    {name: user, type: string}, {name: amount, type: long}]}
  format: json
  event_id: id
  event_time: at
key: [user]
tile: 1m
lateness: 0s
measures: {n: count, amount: {sum: amount}}
rules:
"""


class Rounds:
    """A store with a past, and rounds over it."""

    def __init__(self, path: Path, keys: int, days: int, rules: int) -> None:
        stated = (
            f"  r{at}: {{window: 1m, expr: amount > {10**9 + at}, early: 500ms, to: log}}\n" for at in range(rules)
        )
        self.text = _TEXT + "".join(stated)
        self.compiled = compile_definition(loads(self.text))
        self.store = ViewStore(str(path))
        self.keys, self.end = [f'["user{at:05}"]' for at in range(keys)], _BEGIN + days * DAY
        self.minute, self.events, self.segments, self.now = self.end, 0, 0, self.end
        self._serve()
        for rule in compile_rules(self.compiled, self.compiled.definition.rules):
            self._fill(rule)

    def _serve(self) -> None:
        version = self.compiled.version
        self.store.definitions.register(self.compiled, self.text)
        self.store.live.start(version, "L")
        self.store.live.write_segments(version, "L", [SegmentTally("L/0", 1, 1, 0, 0, 0, 0, ())])
        self.segments = 1
        told = Completeness(journal_until=self.end - DAY)
        self.store.batch.start(version, "B", boundary=1, completeness=told)
        self.store.batch.finish("B", BatchManifest((GenerationCounts(1, received=0, counted=0),)))
        self.store.live.set_watermark(version, "L", self.end)
        self.store.publishing.publish("visits", version, "B", "L")

    def _fill(self, rule: CompiledRule) -> None:
        """Verdicts of all minutes of the past: OK, and a twentieth of them without data."""
        grid, random = grid_of(rule.rule.window, _BEGIN, self.end - MINUTE), np.random.default_rng(7)
        codes = np.ones((len(self.keys), len(grid)), np.uint8)
        for row in codes:
            row[random.integers(0, len(row), len(row) // 20)] = 0
        progress = Progress(rule.version, _BEGIN, self.end - MINUTE, self.end - DAY - MINUTE, passes=1)
        with self.store.database.write() as connection:
            self._write(connection, rule, KeptVerdicts(self.keys, grid, codes), progress)
            write_progress(self.store.database, connection, "visits", rule.name, progress)

    def _write(self, connection: object, rule: CompiledRule, kept: KeptVerdicts, progress: Progress) -> None:
        parts = all_parts(rule, kept, part_of(rule, progress.over_to))
        write_verdicts(self.store.database, connection, "visits", rule.name, parts)  # type: ignore[arg-type]

    def round(self, decider: Decider) -> float:
        """Events of all keys in the open minute, judged; returns the processor seconds of deciding."""
        self.events, self.segments = self.events + 1, self.segments + 1
        none, keys = ids_batch(merge_sorted([])), len(self.keys)
        block = _block(self.compiled, keys, self.minute, self.events)
        update = FoldUpdate(self.minute, 0, block, (Tally(2, keys * self.events, 0, 0),), (), none, none, "early")
        self.store.live.write(self.compiled, "L", [update])
        segment = SegmentTally("L/0", self.segments, 2, keys, keys, 0, 0, ())
        self.store.live.write_segments(self.compiled.version, "L", [segment])
        begun = time.process_time()
        decider.drain(self.now)
        self.now += SECOND
        decider.drain(self.now)
        return time.process_time() - begun

    def next_minute(self) -> None:
        """The open minute ends, and another begins."""
        self.minute, self.events = self.minute + MINUTE, 0
        self.store.live.set_watermark(self.compiled.version, "L", self.minute)


def _block(compiled: CompiledDefinition, keys: int, minute: int, events: int) -> pa.RecordBatch:
    """The states of so many events of each key in a minute."""
    size = keys * events
    times, ids = pa.array(np.full(size, minute + SECOND, np.int64)), pa.array([str(at) for at in range(size)])
    columns = {
        "id": ids,
        "at": times.cast(pa.timestamp("us", "UTC")),
        "user": pa.array([f"user{at % keys:05}" for at in range(size)]),
        "amount": pa.array(np.ones(size, np.int64)),
        TIME: times,
        ID: ids,
    }
    schema = compiled.events_schema
    batch = pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)
    events_of = compiled.prepare(batch).events.append_column(GENERATION, pa.array(np.full(size, 2, np.int64)))
    return aggregate(compiled.measures, events_of)


def measure(path: Path, keys: int, days: int, rules: int, make: Callable[..., Rounds] = Rounds) -> str:
    """Measure one store; the figures as a line."""
    rounds = make(path, keys, days, rules)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    decider, ended = Decider(rounds.store, rounds.compiled), list[float]()
    first, second = rounds.round(decider), rounds.round(decider)
    later = [rounds.round(decider) for _ in range(6)]
    for _ in range(3):
        rounds.next_minute()
        ended.append(rounds.round(decider))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rounds.store.close()
    size = sum(each.stat().st_size for each in path.parent.glob(path.name + "*")) / 1e6
    return (
        f"{days} days, {keys:,} keys, {rules} rules: first round {first:.2f} s, second {second:.2f}, "
        f"later {statistics.median(later):.3f}, a minute has ended {statistics.median(ended):.3f}; "
        f"peak {peak:,.0f} MB (before {before:,.0f}), store {size:,.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--rules", type=int, default=20)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tandem-rounds-") as folder:
        print(measure(Path(folder) / "views.db", flags.keys, flags.days, flags.rules))


if __name__ == "__main__":
    main()
