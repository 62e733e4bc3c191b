"""Writes the states of a batch run to files, or to rows if they are few, once all of them are counted.

States are cut by slots (a day, a sixteenth of the buckets) as they arrive, wait in the scratch folder or the runner's
shuffle, and are grouped by their file. The content of a file comes out of a GroupByKey, so a retry writes the same
bytes.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.columns import GENERATION, KEY, TILE
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.states import block_schema
from tandem.transforms.batch.counts import Counts
from tandem.transforms.batch.spilling import PartRef, forget_spilled, read_spilled, spill
from tandem.transforms.batch.threads import InThreads
from tandem.transforms.elements import TilesUpdate
from tandem.transforms.routing.seen_ids import ID_SCHEMA
from tandem.transforms.routing.tiles import sorted_places
from tandem.transforms.sinks.retrying import retrying
from tandem.views.layers.cutting import Part, Slot, parts_of, slot_of, slots_of
from tandem.views.storage.opening import open_store

__all__ = ["LayerTarget", "WriteLayers", "assigned", "cut_states", "write_states"]

_ROWS: Final = 1 << 18
"""States that are collected before they are cut."""
_AS_ROWS: Final = Part(0, 0, 0, -1)
"""In the place of a file: the run is small, and its states are rows of the database."""


@dataclass(frozen=True, slots=True)
class LayerTarget:
    """The place of a batch run's layer files, and the size from which on it writes files."""

    place: str
    """A folder or URL that all workers can access."""
    threshold: int
    """The least number of states of a run that writes files."""


@dataclass
class WriteLayers(beam.PTransform):  # type: ignore[misc]
    """Write all states of a batch run; the output is empty, and complete once they are written."""

    definition: Definition
    store: str
    batch_run: str
    target: LayerTarget
    scratch: str | None = None
    """The folder to which states are spilled until their file is written; None: the runner's shuffle carries them."""
    events: str | None = None
    """The folder on this machine to which events were spilled: its disk space is freed once all tiles are aggregated.
    Only for a runner that never reads them again."""

    def expand(self, updates: beam.PCollection[TilesUpdate]) -> beam.PCollection[tuple[int, Counts]]:
        waiting, assigned_to = _carried(self.scratch)
        cut = beam.ParDo(_Cut(self.definition, self.scratch)).with_output_types(waiting, states=tuple[Slot, int])
        found = updates | "Cut" >> cut.with_outputs(_STATES, main="waiting")
        states = found[_STATES] | "Total" >> beam.CombinePerKey(sum).with_output_types(tuple[Slot, int])
        assign = beam.ParDo(_Assign(self.target.threshold), beam.pvalue.AsList(states))
        write = beam.ParDo(_Write(self.definition, self.store, self.batch_run, self.target.place, self.events))
        files = found.waiting | "Assign" >> assign.with_output_types(assigned_to) | "Files" >> beam.GroupByKey()
        return files | "Write" >> write.with_output_types(tuple[int, Counts])


_STATES: Final = "states"
_PartKey = tuple[int, int, int, int]


def _carried(scratch: str | None) -> tuple[Any, Any]:
    """The types carried by slot, then by file: references to spilled states, or the states."""
    if scratch is not None:
        return tuple[Slot, PartRef], tuple[_PartKey, PartRef]
    return tuple[Slot, pa.RecordBatch], tuple[_PartKey, pa.RecordBatch]


class _Cut(beam.DoFn):  # type: ignore[misc]
    """States by slot, and the number of states of each slot."""

    def __init__(self, definition: Definition, scratch: str | None) -> None:
        self._definition = definition
        self._scratch = scratch
        self._held: list[TilesUpdate] = []
        self._rows = 0

    def start_bundle(self) -> None:
        self._held, self._rows = [], 0

    def process(self, update: TilesUpdate) -> Iterator[Any]:
        if update.block.num_rows:
            self._held.append(update)
            self._rows += update.block.num_rows
        if self._rows >= _ROWS:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        forever = GlobalWindow()
        for element in self._flush():
            if isinstance(element, beam.pvalue.TaggedOutput):
                value = WindowedValue(element.value, forever.max_timestamp(), [forever])
                yield beam.pvalue.TaggedOutput(element.tag, value)
            else:
                yield WindowedValue(element, forever.max_timestamp(), [forever])

    def _flush(self) -> Iterator[Any]:
        held, self._held, self._rows = self._held, [], 0
        if not held:
            return
        parts = cut_states(self._definition, held)
        for slot, part in parts:
            yield beam.pvalue.TaggedOutput(_STATES, (slot, part.num_rows))
        yield from spill(parts, self._scratch) if self._scratch is not None else parts


def cut_states(definition: Definition, updates: Sequence[TilesUpdate]) -> list[tuple[Slot, pa.RecordBatch]]:
    """The states of updates by slot: a block's columns, and each row's tile."""
    schema = block_schema(compile_definition(definition).measures)
    blocks = [pa.RecordBatch.from_arrays([u.block.column(n) for n in schema.names], schema=schema) for u in updates]
    starts = [tile for update in updates for tile, _ in update.places]
    tiles = np.repeat(np.array(starts, np.int64), [rows for update in updates for rows in update.rows])
    together = pa.concat_batches(blocks).append_column(TILE, pa.array(tiles, pa.int64()))
    slots = slots_of(together.column(KEY), tiles)
    order = sorted_places(slots - slots.min())
    together, slots = together.take(pa.array(order)), slots[order]
    borders = [*np.flatnonzero(np.concatenate([[True], slots[1:] != slots[:-1]])).tolist(), len(slots)]
    return [(slot_of(int(slots[start])), together.slice(start, end - start)) for start, end in pairwise(borders)]


class _Assign(beam.DoFn):  # type: ignore[misc]
    """The file of each slot, by the numbers of states of all slots."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._parts: dict[Slot, Part] | None = None

    def start_bundle(self) -> None:
        self._parts = None

    def process(self, cut: tuple[Slot, Any], states: Sequence[tuple[Slot, int]]) -> Iterator[tuple[_PartKey, Any]]:
        slot, waiting = cut
        if self._parts is None:
            self._parts = assigned(dict(states), self._threshold)
        part = self._parts[slot]
        yield (part.first_day, part.last_day, part.first_bucket, part.last_bucket), waiting


def assigned(states: dict[Slot, int], threshold: int) -> dict[Slot, Part]:
    """The file of each slot; none for a run with fewer states than the threshold."""
    if sum(states.values()) < threshold:
        return dict.fromkeys(states, _AS_ROWS)
    return parts_of(states)


class _Write(beam.DoFn):  # type: ignore[misc]
    """Writes each file, or all rows; two at a time."""

    def __init__(self, definition: Definition, store: str, batch_run: str, place: str, events: str | None) -> None:
        self._definition = definition
        self._store = store
        self._batch_run = batch_run
        self._place = place
        self._events = events
        self._writing = InThreads[None](2, "write-layers")

    def teardown(self) -> None:
        self._writing.close()

    def start_bundle(self) -> None:
        self._writing.begin()

    def process(self, group: tuple[_PartKey, Iterable[Any]]) -> Iterable[tuple[int, Counts]]:
        if self._events is not None:  # which file a state goes into is known only when all tiles are aggregated
            forget_spilled(self._events)
            self._events = None
        deque(self._writing.submit(partial(self._write, Part(*group[0]), list(group[1]))), maxlen=0)
        return ()

    def finish_bundle(self) -> None:
        deque(self._writing.rest(), maxlen=0)

    def _write(self, part: Part, waiting: Sequence[Any]) -> None:
        spilled = waiting and isinstance(waiting[0], PartRef)
        batches = read_spilled(sorted(waiting, key=lambda ref: (ref.file, ref.part.start))) if spilled else waiting
        write_states(self._definition, self._store, self._batch_run, self._place, part, batches)


def write_states(
    definition: Definition, store: str, batch_run: str, place: str, part: Part, batches: Sequence[pa.RecordBatch]
) -> None:
    """Write the states of one part, from `cut_states`, as a file or as rows."""
    compiled, states = compile_definition(definition), pa.concat_batches(batches)
    names = block_schema(compiled.measures).names
    if part == _AS_ROWS:
        updates = list(_updates(states, names))
        retrying(lambda: open_store(store).batch.write(compiled, batch_run, updates))
        return
    columns = [states.column(TILE if name == GENERATION else name) for name in names]
    block = pa.RecordBatch.from_arrays(columns, schema=block_schema(compiled.measures))
    retrying(lambda: open_store(store).batch.write_part(compiled, batch_run, place, part, block))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The states of one tile, as an update of a batch run without ids."""

    tile: int
    block: pa.RecordBatch
    ids: pa.RecordBatch
    shard: int = 0


def _updates(states: pa.RecordBatch, names: Sequence[str]) -> Iterator[_Rows]:
    tiles = states.column(TILE).to_numpy(zero_copy_only=False)
    for tile in np.unique(tiles).tolist():
        yield _Rows(tile, states.filter(pa.array(tiles == tile)).select(names), _NO_IDS)


_NO_IDS: Final = pa.RecordBatch.from_pylist([], schema=ID_SCHEMA)
