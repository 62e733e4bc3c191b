"""A definition of two measures, a store in a file, and short ways to write into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from samples.updates import CrossBoundaryDuplicate, Segment, Tally, Update

from tandem.schemas.columns import CONTENT, EVENTS, GENERATION, HASH, KEY
from tandem.schemas.measures.base import Groups, Measure
from tandem.schemas.states import block_schema
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.store import ViewStore

TILE = 60_000_000


class Total(Measure):
    """Sum of an int64 column, or with None the number of events."""

    kind = "total"

    def __init__(self, column: str | None = None) -> None:
        self._column = column

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self._column,) if self._column else ()

    @property
    def state_type(self) -> pa.DataType:
        return pa.int64()

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        values = events.column(self._column).to_numpy() if self._column else np.ones(len(groups), np.int64)
        return self._sum(values, groups, size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return self._sum(states.to_numpy(), groups, size)

    def result(self, states: pa.Array) -> list[int]:
        return list(states.to_pylist())

    def encode(self, states: pa.Array) -> pa.Array:
        return pa.array([value.to_bytes(8, "little", signed=True) for value in states.to_pylist()], pa.binary())

    def decode(self, data: pa.Array) -> pa.Array:
        if any(len(value) != 8 for value in data.to_pylist()):
            raise ValueError("a total has 8 bytes")
        values = (int.from_bytes(value, "little", signed=True) for value in data.to_pylist())
        return pa.array(values, pa.int64())

    def _sum(self, values: np.ndarray, groups: Groups, size: int) -> pa.Array:
        total = np.zeros(size, np.int64)
        np.add.at(total, groups, values)
        return pa.array(total)


@dataclass(frozen=True)
class Definition:
    name: str = "orders"
    tile: int = TILE
    lateness: int = TILE


@dataclass(frozen=True)
class CompiledStub:
    version: str = "v1"
    definition: Definition = field(default_factory=Definition)
    measures: tuple[tuple[str, Measure], ...] = (("n", Total()), ("total", Total("value")))
    key_fields: tuple[()] = ()
    derive_results: tuple[()] = ()


class Bench:
    """A store with the definition registered, and short ways to write into it."""

    Segment, CrossBoundaryDuplicate, Tally, Update = Segment, CrossBoundaryDuplicate, Tally, Update
    tile = TILE

    def __init__(self, path: str, compiled: CompiledStub | None = None) -> None:
        self.time = 1_000
        self.store = ViewStore(path, clock=lambda: self.time)
        self.compiled = compiled or CompiledStub()
        self.store.definitions.register(self.compiled, "name: orders")

    @property
    def version(self) -> str:
        return self.compiled.version

    def block(self, *rows: tuple[int, str, int, int]) -> pa.RecordBatch:
        """Rows of (generation, key, events, total)."""
        generations, keys, events, totals = zip(*sorted(rows), strict=True) if rows else ((), (), (), ())
        columns = {GENERATION: generations, KEY: keys, EVENTS: events, "n": events, "total": totals}
        schema = block_schema(self.compiled.measures)
        return pa.RecordBatch.from_arrays(
            [pa.array(columns[field.name], field.type) for field in schema], schema=schema
        )

    def ids(self, *rows: tuple[int, int, int]) -> pa.RecordBatch:
        """Rows of (hash, content, generation)."""
        hashes, contents, generations = zip(*rows, strict=True) if rows else ((), (), ())
        kinds = (pa.uint64(), pa.uint64(), pa.int64())
        columns = [pa.array(column, kind) for column, kind in zip((hashes, contents, generations), kinds, strict=True)]
        return pa.record_batch(columns, names=[HASH, CONTENT, GENERATION])

    def live(self, run: str, generation: int, key: str, events: int, *, tile: int = 0, lane: str = "a") -> None:
        """A whole segment of one key's events, taken in and folded: generation g is segment g of its lane."""
        self.store.live.write_segments(
            self.version, run, [Segment(f"{run}/{lane}", generation, generation, events, events)]
        )
        block = self.block((generation, key, events, 10 * events))
        tally = Tally(generation, events)
        # Tallies are sums of a tile and shard: each lane has a shard of its own here.
        self.store.live.write(self.compiled, run, [Update(tile, ord(lane), block, (tally,))])

    def batch(
        self,
        batch_run: str,
        boundary: int,
        rows: Sequence[tuple[int, str, int]],
        *,
        tile: int = 0,
        parent: str | None = None,
        finish: bool = True,
        **options: Any,
    ) -> None:
        """A batch run of (generation, key, events) in one tile, with its manifest."""
        before = self.store.batch.get(parent).boundary if parent is not None else 0
        self.store.batch.start(self.version, batch_run, boundary=boundary, parent=parent, **options)
        block = self.block(*((generation, key, events, 10 * events) for generation, key, events in rows))
        self.store.batch.write(self.compiled, batch_run, [Update(tile, 0, block, ids=self.ids())])
        if finish:
            counts = dict.fromkeys(range(before + 1, boundary + 1), 0)
            for generation, _, events in rows:
                counts[generation] = counts.get(generation, 0) + events
            manifest = [GenerationCounts(g, received=n, counted=n) for g, n in counts.items()]
            self.store.batch.finish(batch_run, BatchManifest(tuple(manifest)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(str(tmp_path / "views.db"))
    yield bench
    bench.store.close()


@pytest.fixture(scope="session")
def bench_class() -> type[Bench]:
    return Bench
