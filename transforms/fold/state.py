"""The state of one tile and shard: deduplicates, aggregates and merges, without Beam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import CONTENT, EVENTS, GENERATION, HASH, KEY, LATE
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.states import aggregate, from_ipc, to_ipc
from tandem.transforms.elements import CrossBoundaryDuplicate, FoldUpdate, Tally, TileKey
from tandem.transforms.fold.block import TileBlock
from tandem.transforms.fold.id_parts import parts_of, read_parts
from tandem.transforms.packing import pack, unpack
from tandem.transforms.routing.late_ids import LateIds
from tandem.transforms.routing.seen_ids import ID_SCHEMA, SeenIds, Verdict, ids_batch, merge_sorted
from tandem.views.reconcile.digests import MODULUS, digest_of_pairs

__all__ = ["Admitted", "TileState"]

Generations = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Admitted:
    """The counted events of one pane, and the accounting of all its events."""

    counted: pa.RecordBatch
    tallies: tuple[Tally, ...]
    cross_duplicates: tuple[CrossBoundaryDuplicate, ...]
    late: pa.RecordBatch
    """HASH, CONTENT, GENERATION of the late events."""
    ids: pa.RecordBatch
    """The ids of the counted events, sorted by hash and content; none where the definition doesn't deduplicate."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The served batch run's decisions about copies in a tile, by what live had counted before it went back."""

    boundary: int
    covered: SeenIds
    """Ids that batch counted, which live must not count after the boundary."""
    left_out: SeenIds
    """Ids that batch left to live, which live must not count up to the boundary."""


@dataclass(slots=True)
class TileState:
    """Everything that a run knows about one tile and shard: counted ids, states per generation and key, tallies."""

    compiled: CompiledDefinition
    tile: TileKey
    seen: SeenIds = field(default_factory=SeenIds)
    rows: TileBlock = field(init=False)
    tallies: dict[int, Tally] = field(default_factory=dict)
    late: LateIds = field(default_factory=LateIds)
    cross_duplicates: dict[tuple[int, int], CrossBoundaryDuplicate] = field(default_factory=dict)
    """All cross-boundary duplicates so far, by hash and content."""
    beside: Beside | None = None
    """The batch run served beside this state, while a fold that went back to a checkpoint catches up."""
    passed: list[pa.RecordBatch] = field(default_factory=list)
    """Ids kept like late ones since `new_parts` was last called, which no update contains."""
    attempt: int = 0
    """How often this tile's rows in the store were replaced, because its runner went back to a checkpoint."""

    def __post_init__(self) -> None:
        self.rows = TileBlock(self.compiled.measures)

    @property
    def block(self) -> pa.RecordBatch | None:
        """All states as a block; None before the first merge. Costs by all keys."""
        return None if self.rows.is_new else self.rows.whole()

    def update(self, parts: Sequence[pa.RecordBatch], timing: str) -> FoldUpdate:
        """Add events (columns KEY, GENERATION, HASH, CONTENT, LATE and the measures' inputs).

        Returns the new whole states of the (generation, key) pairs that gained an event.
        """
        admitted = self.admit(parts)
        return self.merge(admitted, aggregate(self.compiled.measures, admitted.counted), timing)

    def admit(self, parts: Sequence[pa.RecordBatch]) -> Admitted:
        """Separate late events and duplicates, and tally."""
        together = _concat(parts)
        flags = together.column(LATE)
        late = together.filter(flags).select(ID_SCHEMA.names)
        events = together.filter(pc.invert(flags)) if late.num_rows else together
        verdict = self._judge(events)
        counted = events if verdict.first.all() else events.filter(pa.array(verdict.first))
        cross_duplicates = _cross_duplicates(verdict) + self.late.add(late, self.seen) + self.late.copies_of(counted)
        self._name(cross_duplicates)
        return Admitted(counted, self._tally(events, verdict), cross_duplicates, late, ids_batch(verdict.counted))

    def merge(self, admitted: Admitted, delta: pa.RecordBatch, timing: str) -> FoldUpdate:
        """Merge the block of the admitted events."""
        changed = self.rows.merge(delta)
        tallies, cross_duplicates = admitted.tallies, admitted.cross_duplicates
        return FoldUpdate(
            *self.tile, changed, tallies, cross_duplicates, admitted.ids, admitted.late, timing, self.attempt
        )

    def whole(self, timing: str) -> FoldUpdate:
        """The whole state as one update, which replaces every row of the tile and shard."""
        none = ids_batch(merge_sorted([]))
        tallies, cross_duplicates = tuple(self.tallies.values()), tuple(self.cross_duplicates.values())
        return FoldUpdate(
            *self.tile, self._rows(), tallies, cross_duplicates, none, none, timing, self.attempt, replaces=True
        )

    def own_ids(self) -> pa.RecordBatch:
        """The ids (ID_SCHEMA) that this run counted, in a few sorted stretches; ids loaded from batch belong to
        generations that this run skips.
        """
        ids = self.seen.stretches()
        generations, own = ids.column(GENERATION).to_numpy(), np.zeros(ids.num_rows, bool)
        for generation in self.tallies:  # few, so this takes a tenth of what asking for a set does
            own |= generations == generation
        return ids if own.all() else ids.filter(pa.array(own))

    def events_by_key(self, after: int) -> dict[str, int]:
        """The number of counted events of each key in generations after this one."""
        block = self._rows()
        rows = block.filter(pc.greater(block.column(GENERATION), after))
        found: dict[str, int] = {}
        for key, events in zip(rows.column(KEY).to_pylist(), rows.column(EVENTS).to_pylist(), strict=True):
            found[key] = found.get(key, 0) + events
        return found

    def seen_by_generation(self) -> dict[int, int]:
        """The number of events, counted or duplicate, of each generation."""
        return {generation: tally.counted + tally.duplicates for generation, tally in self.tallies.items()}

    def delta_bytes(self, update: FoldUpdate) -> bytes:
        """The change that an update made to this state except for ids, for `restore`: the changed states whole."""
        return pack(_header(update.tallies, update.cross_duplicates, self.attempt), [to_ipc(update.block)])

    def snapshot_bytes(self) -> bytes:
        """The whole state except for ids as one entry, for `restore`."""
        return pack(self._whole_header(), [to_ipc(self._rows())])

    def new_parts(self, update: FoldUpdate) -> list[bytes]:
        """The ids that an update added, for `restore`, besides the parts of earlier updates."""
        passed, self.passed = self.passed, []
        return parts_of(update.ids, [update.late, *passed])

    def all_parts(self) -> list[bytes]:
        """All ids, those loaded from batch included, for `restore`, instead of the parts of earlier updates."""
        self.passed = []
        return parts_of(self.seen.stretches(), [self.late.dump()])

    def evicted_bytes(self) -> bytes:
        """The whole state except for counted ids as one entry, for `restore`."""
        none = ids_batch(merge_sorted([]))
        return pack(self._whole_header(), [to_ipc(self._rows()), to_ipc(none), to_ipc(self.late.dump())])

    def restore(self, entries: Sequence[bytes], parts: Iterable[bytes] = ()) -> bool:
        """Rebuild from a snapshot and its deltas, and parts of ids; a bag has no order, so of each key's states the one
        with most events is newest.

        Returns whether entries contained ids, as those of earlier versions do.
        """
        counted, late = read_parts(parts)
        self.seen.load(counted)
        self.late.load(late)
        blocks, held = [] if self.block is None else [self.block], False
        for entry in entries:
            header, (block, *ids) = unpack(entry)
            self._take_header(*header)
            blocks.append(from_ipc(block))
            held |= bool(ids) and self._take_ids(*map(from_ipc, ids))
        self.rows = TileBlock(self.compiled.measures, first=_newest(blocks))
        return held

    def _take_header(self, tallies: list[Any], cross_duplicates: list[Any], attempt: int) -> None:
        self.attempt = max(self.attempt, attempt)
        self._name(CrossBoundaryDuplicate(*duplicate) for duplicate in cross_duplicates)
        for tally in (Tally(*values) for values in tallies):
            known = self.tallies.get(tally.generation)
            if known is None or tally.counted + tally.duplicates > known.counted + known.duplicates:
                self.tallies[tally.generation] = tally

    def _take_ids(self, counted: pa.RecordBatch, late: pa.RecordBatch) -> bool:
        self.seen.load(counted)
        self.late.load(late)
        return bool(counted.num_rows or late.num_rows)

    def _whole_header(self) -> list[Any]:
        return _header(self.tallies.values(), self.cross_duplicates.values(), self.attempt)

    def _name(self, cross_duplicates: Iterable[CrossBoundaryDuplicate]) -> None:
        """Record cross-boundary duplicates; of several earlier copies the earliest decides from which boundary on batch
        leaves the event out.
        """
        for duplicate in cross_duplicates:
            place = (duplicate.hash, duplicate.content)
            known = self.cross_duplicates.get(place)
            if known is None or duplicate.earlier_generation < known.earlier_generation:
                self.cross_duplicates[place] = duplicate

    def _judge(self, events: pa.RecordBatch) -> Verdict:
        if self.compiled.definition.deduplicate:
            return self.seen.add(events) if self.beside is None else self._judge_beside(self.beside, events)
        none, no_ids = np.zeros(events.num_rows, bool), merge_sorted([])
        return Verdict(~none, none, no_ids, np.zeros(0, np.int64), no_ids)

    def _judge_beside(self, beside: Beside, events: pa.RecordBatch) -> Verdict:
        """`SeenIds.add`, except that of copies on both sides of the boundary the one counts that counted before.

        Copies up to the boundary of events that batch left to live are kept like late ones: they become cross-boundary
        duplicates.
        """
        after = events.column(GENERATION).to_numpy() > beside.boundary
        left = ~after & (beside.left_out.generations_of(events) != 0)
        fresh = ~left & ~(after & (beside.covered.generations_of(events) != 0))
        verdict = self.seen.add(events.filter(pa.array(fresh)))
        first, conflicts = np.zeros(len(fresh), bool), np.zeros(len(fresh), bool)
        first[fresh], conflicts[fresh] = verdict.first, verdict.conflicts
        passed = events.filter(pa.array(left)).select(ID_SCHEMA.names)
        self._name(self.late.add(passed, self.seen))
        self.passed.append(passed)
        return replace(verdict, first=first, conflicts=conflicts)

    def _tally(self, events: pa.RecordBatch, verdict: Verdict) -> tuple[Tally, ...]:
        generations = events.column(GENERATION).to_numpy()
        hashes, contents = events.column(HASH).to_numpy(), events.column(CONTENT).to_numpy()
        changed = []
        for generation, mine in _by_generation(generations):
            first = verdict.first & mine
            counted, conflicts = int(first.sum()), int((verdict.conflicts & mine).sum())
            old = self.tallies.get(generation, Tally(generation, 0, 0, 0))
            duplicates = old.duplicates + int(np.broadcast_to(mine, len(first)).sum()) - counted
            digest = (old.digest + digest_of_pairs(hashes[first], contents[first])) % MODULUS
            tally = Tally(generation, old.counted + counted, duplicates, old.conflicts + conflicts, digest)
            self.tallies[generation] = tally
            changed.append(tally)
        return tuple(changed)

    def _rows(self) -> pa.RecordBatch:
        return self.rows.whole()


def _by_generation(generations: Generations) -> Iterator[tuple[int, npt.NDArray[np.bool_] | np.bool_]]:
    """(generation, mask of its rows), ascending; the usual single generation is recognized without a search."""
    if len(generations) and (generations == generations[0]).all():
        yield int(generations[0]), np.True_
        return
    for generation in np.unique(generations).tolist():
        yield generation, generations == generation


def _cross_duplicates(verdict: Verdict) -> tuple[CrossBoundaryDuplicate, ...]:
    named = verdict.cross_duplicates
    columns = (named.hash, named.content, verdict.counted_generations, named.generation)
    return tuple(CrossBoundaryDuplicate(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def _header(tallies: Iterable[Tally], cross_duplicates: Iterable[CrossBoundaryDuplicate], attempt: int) -> list[Any]:
    """The header that `restore` reads besides blocks and ids."""
    counts = [[t.generation, t.counted, t.duplicates, t.conflicts, t.digest] for t in tallies]
    named = [[s.hash, s.content, s.counted_generation, s.earlier_generation] for s in cross_duplicates]
    return [counts, named, attempt]


def _concat(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def _rows_of(block: pa.RecordBatch) -> pa.Array:
    """The generation and key of each row as one string, for searching rows."""
    return pc.binary_join_element_wise(block.column(GENERATION).cast(pa.string()), block.column(KEY), " ")


def _newest(blocks: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """The row with most events of each (generation, key): whole states of a run only grow."""
    if len(blocks) < 2:
        return blocks[0] if blocks else None
    every = pa.concat_batches(blocks)
    order = pc.sort_indices(every, sort_keys=[(GENERATION, "ascending"), (KEY, "ascending"), (EVENTS, "descending")])
    every = every.take(order)
    rows = _rows_of(every).to_numpy(zero_copy_only=False)
    first = np.ones(len(rows), bool)
    first[1:] = rows[1:] != rows[:-1]
    return every.filter(pa.array(first))
