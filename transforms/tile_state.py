"""The state of one tile and shard: de-duplicate, aggregate and merge, without Beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import EVENTS, GENERATION, KEY, LATE
from schemas.compiled import CompiledDefinition
from schemas.states import aggregate, from_ipc, merge_blocks, to_ipc
from transforms.elements import FoldUpdate, Straddler, Tally, TileKey, pack, unpack
from transforms.late_ids import LateIds
from transforms.seen_ids import ID_SCHEMA, SeenIds, Verdict, merge_sorted

__all__ = ["Admitted", "TileState"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Events of one pane that count, and what became of the others."""

    counted: pa.RecordBatch
    tallies: tuple[Tally, ...]
    straddlers: tuple[Straddler, ...]
    late: pa.RecordBatch
    """HASH, CONTENT, GENERATION of the events that came too late."""


@dataclass(slots=True)
class TileState:
    """All that a run knows of one tile and shard: ids counted, states per generation and key, tallies."""

    compiled: CompiledDefinition
    tile: TileKey
    seen: SeenIds = field(default_factory=SeenIds)
    block: pa.RecordBatch | None = None
    tallies: dict[int, Tally] = field(default_factory=dict)
    late: LateIds = field(default_factory=LateIds)

    def update(self, parts: Sequence[pa.RecordBatch], timing: str) -> FoldUpdate:
        """Take events in (columns KEY, GENERATION, HASH, CONTENT, TIME, ID and the measures' inputs).

        Returns the new whole states of the (generation, key) pairs that gained an event.
        """
        admitted = self.admit(parts)
        return self.merge(admitted, aggregate(self.compiled.measures, admitted.counted), timing)

    def admit(self, parts: Sequence[pa.RecordBatch]) -> Admitted:
        """Set apart what is late and what are duplicates, and tally."""
        together = _concat(parts)
        flags = together.column(LATE)
        late = together.filter(flags).select(ID_SCHEMA.names)
        events = together.filter(pc.invert(flags)) if late.num_rows else together
        verdict = self._judge(events)
        counted = events if verdict.first.all() else events.filter(pa.array(verdict.first))
        straddlers = tuple(
            Straddler(int(row["hash"]), int(row["content"]), int(counted_in), int(row["generation"]))
            for row, counted_in in zip(verdict.straddlers, verdict.counted_generations, strict=True)
        )
        straddlers += self.late.add(late, self.seen) + self.late.copies_of(counted)
        return Admitted(counted, self._tally(events, verdict), straddlers, late)

    def merge(self, admitted: Admitted, delta: pa.RecordBatch, timing: str) -> FoldUpdate:
        """Merge the block of the events that were admitted."""
        if self.block is None:
            self.block = changed = delta
        else:
            self.block, changed = _fold(self.compiled, self.block, delta)
        counted = admitted.counted if self.compiled.definition.deduplicate else admitted.counted.slice(0, 0)
        ids = counted.select(ID_SCHEMA.names)
        return FoldUpdate(*self.tile, changed, admitted.tallies, admitted.straddlers, ids, admitted.late, timing)

    def delta_bytes(self, parts: FoldUpdate) -> bytes:
        """What `parts` added to this state, for `restore`: its ids, and the changed states whole."""
        tallies = [[t.generation, t.counted, t.duplicates, t.conflicts] for t in parts.tallies]
        return pack(["delta", tallies], [to_ipc(parts.block), to_ipc(parts.ids), to_ipc(parts.late)])

    def snapshot_bytes(self) -> bytes:
        """All of this state as one entry, for `restore`."""
        tallies = [[t.generation, t.counted, t.duplicates, t.conflicts] for t in self.tallies.values()]
        block = self.block if self.block is not None else aggregate(self.compiled.measures, self._no_events())
        return pack(["whole", tallies], [to_ipc(block), to_ipc(self.seen.dump()), to_ipc(self.late.dump())])

    def restore(self, entries: Sequence[bytes]) -> None:
        """Rebuild from a snapshot and the deltas after it; a bag keeps no order, so the newest states win by events."""
        for entry in entries:
            (_, tallies), (block, ids, late) = unpack(entry)
            self.seen.load(from_ipc(ids))
            self.late.load(from_ipc(late))
            for generation, counted, duplicates, conflicts in tallies:
                known = self.tallies.get(generation)
                if known is None or counted + duplicates > known.counted + known.duplicates:
                    self.tallies[generation] = Tally(generation, counted, duplicates, conflicts)
            states = from_ipc(block)
            self.block = states if self.block is None else _newest(self.block, states)

    def _judge(self, events: pa.RecordBatch) -> Verdict:
        if self.compiled.definition.deduplicate:
            return self.seen.add(events)
        none = np.zeros(events.num_rows, bool)
        return Verdict(~none, none, merge_sorted([]), np.zeros(0, np.int64))

    def _tally(self, events: pa.RecordBatch, verdict: Verdict) -> tuple[Tally, ...]:
        generations = events.column(GENERATION).to_numpy()
        changed = []
        for generation in np.unique(generations).tolist():
            mine = generations == generation
            counted, conflicts = int(verdict.first[mine].sum()), int(verdict.conflicts[mine].sum())
            old = self.tallies.get(generation, Tally(generation, 0, 0, 0))
            duplicates = old.duplicates + int(mine.sum()) - counted
            tally = Tally(generation, old.counted + counted, duplicates, old.conflicts + conflicts)
            self.tallies[generation] = tally
            changed.append(tally)
        return tuple(changed)

    def _no_events(self) -> pa.RecordBatch:
        schema = self.compiled.input_schema.append(pa.field(GENERATION, pa.int64()))
        return pa.RecordBatch.from_pylist([], schema=schema)


def _concat(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def _rows_of(block: pa.RecordBatch) -> pa.Array:
    """Generation and key of each row as one string, to find rows by."""
    return pc.binary_join_element_wise(block.column(GENERATION).cast(pa.string()), block.column(KEY), " ")


def _fold(
    compiled: CompiledDefinition, block: pa.RecordBatch, delta: pa.RecordBatch
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """(the block with the delta merged in, the merged rows of the delta's keys)."""
    touched = pc.is_in(_rows_of(block), value_set=_rows_of(delta))
    changed = merge_blocks(compiled.measures, [block.filter(touched), delta])
    return _concat([block.filter(pc.invert(touched)), changed]), changed


def _newest(one: pa.RecordBatch, other: pa.RecordBatch) -> pa.RecordBatch:
    """Of each (generation, key) the row with more events: whole states of a run only grow."""
    both = _concat([one, other])
    order = pc.sort_indices(both, sort_keys=[(GENERATION, "ascending"), (KEY, "ascending"), (EVENTS, "descending")])
    both = both.take(order)
    rows = _rows_of(both).to_numpy(zero_copy_only=False)
    first = np.ones(len(rows), bool)
    first[1:] = rows[1:] != rows[:-1]
    return both.filter(pa.array(first))
