"""Parity without a store: every split of the journal between batch and live gives equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

import pyarrow as pa

from tandem.schemas.columns import KEY
from tandem.schemas.states import Measures, merge_blocks, with_generation
from tandem.transforms.elements import Tally
from tandem.transforms.fold.state import TileState
from tandem.transforms.tiles import _Route
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.naive import has_equal_bytes
from tandem.verification.world.live_run import parts_of
from tandem.verification.world.world import World
from tandem.views.answers.merging import encode_states

__all__ = ["check_splits", "check_tallies", "encoded"]

States = dict[tuple[str, int], tuple[int, bytes]]
"""(key, tile) -> (events, encoded states of all measures)."""
Part = tuple[int, int, pa.RecordBatch]
"""Tile, generation, events."""


def check_splits(world: World, random: Random) -> pa.RecordBatch:
    """Check that batch over all = live over all with late events added = every split between them, byte for byte.

    Without a store: the events of every segment after routing, with the stored watermarks and without. Returns batch
    over all, as a block whose generation column holds the tile. Raises Mismatch.
    """
    on_time, everything = _routed(world, late=False), _routed(world, late=True)
    measures = world.compiled.measures
    batch = _merged(measures, _batch_blocks(world, everything))
    whole = encoded(measures, batch)
    live = _live(world, on_time, random)
    together = on_time + _late_parts(world)
    _compare(measures, _merged(measures, _live(world, together, random)), batch, "live, late added back")
    for boundary in sorted({generation for _, generation, _ in everything}):
        before = [part for part in everything if part[1] <= boundary]
        after = [part for part in everything if part[1] > boundary]
        counted = _tile_states(world, before)
        rest = _tile_states(world, after, seen={tile: state.seen.dump() for tile, state in counted.items()})
        blocks = [(tile, state.block) for states in (counted, rest) for tile, state in states.items()]
        _compare(measures, _merged(measures, blocks), batch, f"split after generation {boundary}")
    if not {tile for tile, _ in live} <= {tile for _, tile in whole} | {tile for tile, _, _ in everything}:
        raise Mismatch("splits", "live has tiles that batch doesn't have")
    return batch


def _compare(measures: Measures, found: pa.RecordBatch, batch: pa.RecordBatch, what: str) -> None:
    for name, measure in measures:
        if not has_equal_bytes(measure):
            continue
        one, other = encoded([(name, measure)], found), encoded([(name, measure)], batch)
        for place in sorted(one.keys() | other.keys()):
            if one.get(place) != other.get(place):
                raise Mismatch(name, f"{what}: the state of {name} of key {place[0]}, tile {place[1]} isn't batch's")


def _routed(world: World, late: bool) -> list[Part]:
    """Events of all segments; `late`: including those that live leaves out."""
    route = _Route(world.definition, 1, 0)
    route.setup()
    return [
        (key[0], batch.generation, events)
        for batch in world.batches(late=late)
        for key, events in parts_of(route.process(batch))[0]
    ]


def _late_parts(world: World) -> list[Part]:
    """Events that live leaves out by the rule."""
    route, definition = _Route(world.definition, 1, 0), world.definition
    route.setup()
    found = []
    for batch, stored in zip(world.batches(late=True), world.batches(late=False), strict=True):
        for (tile, _), events in parts_of(route.process(batch))[0]:
            if stored.watermark is not None and tile + definition.tile + definition.lateness <= stored.watermark:
                found.append((tile, batch.generation, events))
    return found


def _tile_states(
    world: World, parts: Sequence[Part], seen: dict[int, pa.RecordBatch] | None = None
) -> dict[int, TileState]:
    """One update for each tile, as in batch; `seen` holds events that counted before."""
    states: dict[int, TileState] = {}
    for tile in sorted({tile for tile, _, _ in parts}):
        states[tile] = TileState(world.compiled, (tile, 0))
        if seen is not None and tile in seen:
            states[tile].seen.load(seen[tile])
        update = states[tile].update([events for other, _, events in parts if other == tile], "batch")
        check_tallies(update.tallies, sum(len(events) for other, _, events in parts if other == tile))
    return states


def check_tallies(tallies: Sequence[Tally], routed: int) -> None:
    """Check that a tile's routed events are counted or duplicates. Raises Mismatch."""
    found = sum(tally.counted + tally.duplicates for tally in tallies)
    if found != routed:
        raise Mismatch("conservation", f"{found} events counted or duplicates, {routed} were routed")


def _batch_blocks(world: World, parts: Sequence[Part]) -> list[tuple[int, pa.RecordBatch]]:
    return [(tile, state.block) for tile, state in _tile_states(world, parts).items() if state.block is not None]


def _live(world: World, parts: Sequence[Part], random: Random) -> list[tuple[int, pa.RecordBatch]]:
    """The same events in any order and any panes, with restarts from what was kept between them."""
    states: dict[int, TileState] = {}
    kept: dict[int, tuple[list[bytes], list[bytes]]] = {}
    queue = random.sample(list(parts), len(parts))
    while queue:
        tile = queue[0][0]
        pane = [part for part in queue if part[0] == tile][: random.randint(1, 3)]
        queue = [part for part in queue if not any(part is other for other in pane)]
        entries, ids = kept.setdefault(tile, ([], []))
        if tile not in states or random.random() < 0.3:
            states[tile] = TileState(world.compiled, (tile, 0))
            states[tile].restore(random.sample(entries, len(entries)), random.sample(ids, len(ids)))
        update = states[tile].update([events for _, _, events in pane], "early")
        ids += states[tile].new_parts(update)
        entries.append(states[tile].delta_bytes(update))
        if random.random() < 0.2:
            entries[:] = [states[tile].snapshot_bytes()]
    return [(tile, state.block) for tile, state in states.items() if state.block is not None]


def _merged(measures: Measures, blocks: Iterable[tuple[int, pa.RecordBatch | None]]) -> pa.RecordBatch:
    """All tiles in one block, generations merged; its generation column holds the tile."""
    return merge_blocks(measures, [with_generation(block, tile) for tile, block in blocks if block is not None])


def encoded(measures: Measures, block: pa.RecordBatch) -> States:
    """The stored bytes of each key and generation (in `check_splits`: tile)."""
    tiles, events = block.column(0).to_pylist(), block.column(2).to_pylist()
    states = encode_states(measures, block) if block.num_rows else []
    keys = block.column(KEY).to_pylist()
    return {(key, tile): (count, state) for key, tile, count, state in zip(keys, tiles, events, states, strict=True)}
