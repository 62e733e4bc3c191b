"""Recomputes a tile from all copies of all its events, in plain functions, without Beam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import CONTENT, EVENTS, GENERATION, HASH, KEY, LATE
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.states import aggregate, from_ipc, merge_blocks, to_ipc, with_generation
from tandem.transforms.fold.state import TileState
from tandem.transforms.packing import PackedCoder, pack, unpack
from tandem.transforms.routing.seen_ids import ID_SCHEMA, SeenIds
from tandem.views.answers.merging import encode_states
from tandem.views.reconcile.digests import id_hashes, sum_of
from tandem.views.reconcile.tile_causes import Causes, Identity
from tandem.views.reconcile.tile_knowledge import LiveKnowledge, TileKnowledge

__all__ = ["Predicted", "Recomputed", "RecomputedCoder", "recompute"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """The correct tally of live for one generation."""

    counted: int
    digest: int
    causes: Causes
    """Why it differs from batch's."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A recomputed tile."""

    tile: int
    rows: Mapping[str, tuple[int, bytes]]
    """(events, states in the store's encoding) by key."""
    ids: pa.RecordBatch
    """The ids that batch counts (ID_SCHEMA), also where the store keeps none."""
    live: Mapping[int, Predicted]
    """Live's correct tallies by generation."""

    @classmethod
    def empty(cls, tile: int) -> Recomputed:
        """A tile without events."""
        return cls(tile, {}, _id_batch(frozenset()), {})

    def to_bytes(self) -> bytes:
        """Deterministic bytes for `from_bytes`."""
        keys = sorted(self.rows)
        live = [
            [g, p.counted, p.digest, p.causes.late, p.causes.arrived, p.causes.left]
            for g, p in sorted(self.live.items())
        ]
        header = [self.tile, [[key, self.rows[key][0]] for key in keys], live]
        return pack(header, [to_ipc(self.ids), *(self.rows[key][1] for key in keys)])

    @classmethod
    def from_bytes(cls, data: bytes) -> Recomputed:
        """The tile from the bytes of `to_bytes`."""
        (tile, keys, live), (ids, *states) = unpack(data)
        rows = {key: (events, state) for (key, events), state in zip(keys, states, strict=True)}
        predicted = {g: Predicted(n, digest, Causes(*causes)) for g, n, digest, *causes in live}
        return cls(tile, rows, from_ipc(ids), predicted)


class RecomputedCoder(PackedCoder):
    """Coder of Recomputed."""

    value_type: ClassVar[type] = Recomputed

    def encode(self, value: Recomputed) -> bytes:
        return value.to_bytes()

    def decode(self, encoded: bytes) -> Recomputed:
        return Recomputed.from_bytes(encoded)


def recompute(
    compiled: CompiledDefinition, tile: int, parts: Sequence[pa.RecordBatch], knowledge: TileKnowledge
) -> Recomputed:
    """The tile from all its events up to the boundary, in any order; columns as from `RouteToTiles`."""
    events = pa.concat_batches(list(parts))
    counted = _counted(compiled, tile, events, knowledge)
    block = merge_blocks(compiled.measures, [with_generation(aggregate(compiled.measures, counted), tile)])
    values = zip(block.column(EVENTS).to_pylist(), encode_states(compiled.measures, block), strict=True)
    rows = dict(zip(block.column(KEY).to_pylist(), values, strict=True)) if block.num_rows else {}
    live = _predict(compiled, events, counted, knowledge, knowledge.live) if knowledge.live is not None else {}
    return Recomputed(tile, rows, _ids(counted), live)


def _counted(
    compiled: CompiledDefinition, tile: int, events: pa.RecordBatch, knowledge: TileKnowledge
) -> pa.RecordBatch:
    """The events that batch counts, run by run in the order of its layers."""
    events = _with_late(events, np.zeros(events.num_rows, bool))
    generations = events.column(GENERATION).to_numpy()
    layers = np.array([knowledge.layers.get(g, 0) for g in generations.tolist()], np.int64)
    done: list[pa.RecordBatch] = [events.slice(0, 0)]
    for layer in np.unique(layers).tolist():
        state = TileState(compiled, (tile, 0))
        if compiled.definition.deduplicate:
            for earlier in done:
                state.seen.load(_ids(earlier))
            state.seen.load(_id_batch(knowledge.left_out.get(layer, frozenset())))
        done.append(state.admit([events.filter(pa.array(layers == layer))]).counted)
    return pa.concat_batches(done)


def _with_late(events: pa.RecordBatch, late: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    index = events.schema.get_field_index(LATE)
    return events.set_column(index, events.schema.field(index), pa.array(late))


def _ids(events: pa.RecordBatch) -> pa.RecordBatch:
    return events.select(ID_SCHEMA.names)


def _id_batch(identities: frozenset[Identity]) -> pa.RecordBatch:
    ordered = sorted(identities)
    columns = [
        pa.array([event for event, _ in ordered], pa.uint64()),
        pa.array([content for _, content in ordered], pa.uint64()),
        pa.array([0] * len(ordered), pa.int64()),
    ]
    return pa.record_batch(columns, schema=ID_SCHEMA)


def _predict(
    compiled: CompiledDefinition,
    events: pa.RecordBatch,
    counted: pa.RecordBatch,
    knowledge: TileKnowledge,
    live: LiveKnowledge,
) -> dict[int, Predicted]:
    """Live's correct tallies by generation."""
    taken = events.filter(pc.invert(events.column(LATE)))
    taken = taken.filter(pc.greater(taken.column(GENERATION), live.base_boundary))
    generations = taken.column(GENERATION).to_numpy()
    if compiled.definition.deduplicate:
        seen = SeenIds()
        seen.load(live.base_ids)
        first = seen.add(taken).first
        taken, generations = taken.filter(pa.array(first)), generations[first]
        if live.cross_duplicates:
            places = zip(_identities(taken), generations.tolist(), strict=True)
            generations = np.array([live.cross_duplicates.get(one, g) for one, g in places], np.int64)
    causes = _causes(compiled, taken, generations, counted, live)
    hashes, predicted = id_hashes(taken), dict[int, Predicted]()
    for generation in sorted({*generations.tolist(), *causes}):
        if live.floor < generation <= knowledge.boundary:
            mine = generations == generation
            predicted[generation] = Predicted(int(mine.sum()), sum_of(hashes[mine]), causes.get(generation, Causes()))
    return predicted


def _causes(
    compiled: CompiledDefinition,
    taken: pa.RecordBatch,
    generations: npt.NDArray[np.int64],
    counted: pa.RecordBatch,
    live: LiveKnowledge,
) -> dict[int, Causes]:
    """By generation, how many events batch counts and live doesn't, and vice versa."""
    late, arrived, left = dict[int, int](), dict[int, int](), dict[int, int]()
    in_batch = counted.column(GENERATION).to_pylist()
    if not compiled.definition.deduplicate:
        said: Any = dict(zip(*np.unique(generations, return_counts=True), strict=True))
        for generation in set(in_batch):
            late[generation] = in_batch.count(generation) - int(said.get(generation, 0))
        return {g: Causes(late=n) for g, n in late.items() if n > 0}
    lives = dict(zip(_identities(taken), generations.tolist(), strict=True))
    for identity, generation in zip(_identities(counted), in_batch, strict=True):
        said_in = lives.get(identity)
        if said_in is None:
            late[generation] = late.get(generation, 0) + 1
        elif said_in != generation:
            arrived[generation] = arrived.get(generation, 0) + 1
            left[said_in] = left.get(said_in, 0) + 1
    places = {*late, *arrived, *left}
    return {g: Causes(late=late.get(g, 0), arrived=arrived.get(g, 0), left=left.get(g, 0)) for g in places}


def _identities(events: pa.RecordBatch) -> list[Identity]:
    return list(zip(events.column(HASH).to_pylist(), events.column(CONTENT).to_pylist(), strict=True))
