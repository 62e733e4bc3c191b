"""The guarantees as checks over a world: parity, conservation, and numbers of events that never fall.

The suites call them, and so do the tests that break the product on purpose to see them fail.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pyarrow as pa
from sales import LATENESS, SECOND, START, TILE, Sale, differences, expected
from worlds import STEPS, Copy, Live, World, parts_of, world_of

from journal.generations import next_generation
from schemas.columns import KEY
from schemas.states import Measures, merge_blocks, with_generation
from transforms.elements import Tally
from transforms.tile_state import TileState
from transforms.tiles import _Route
from views.merging import encode_states

__all__ = [
    "Steps",
    "check_end",
    "check_late_copy",
    "check_late_pane",
    "check_publishing",
    "check_scenarios",
    "check_step",
    "draw_steps",
    "encoded",
    "late_by_rule",
    "run_scenario",
    "sales_of",
]

Steps = Sequence[tuple[str, int]]
States = dict[tuple[str, int], tuple[int, bytes]]
"""(key, tile) -> (events, encoded states of all measures)."""


def draw_steps(seed: int, length: int = 40) -> list[tuple[str, int]]:
    """Steps of a scenario from one number."""
    random = Random(seed)
    return [(random.choice(STEPS), random.randrange(1 << 16)) for _ in range(length)]


def run_scenario(seed: int, steps: Steps, **options: Any) -> dict[str, int]:
    """Carry the steps out, check after each and at the end. Returns what happened how often, to count coverage."""
    with world_of(seed, **options) as world:
        for kind, pick in steps:
            world.step(kind, pick)
            if kind not in ("publish", "wait", "roll"):
                check_step(world)
        check_end(world)
        copies = world.copies()
        return {
            "late": sum(copy.late for copy in copies),
            "copies": len(copies) - len({copy.sale for copy in copies}),
            "generations": len({copy.generation for copy in copies}),
            "publications": len(world.store.publications(world.definition.name)),
            "batch runs": len(world.built),
            "tiles cleared": sum(state.timer is None for state in world.live.runner.values()),
            "refusals": len(world.refusals),
        }


def sales_of(copies: Iterable[Copy], deduplicate: bool = True) -> list[Sale]:
    """The events of these messages, copies once."""
    sales = [copy.sale for copy in copies if copy.fate == "event" and copy.sale is not None]
    return sorted(set(sales)) if deduplicate else sales


def late_by_rule(copies: Iterable[Copy]) -> dict[int, int]:
    """Late events by tile, as the ledger should have them."""
    ledger: dict[int, int] = {}
    for copy in copies:
        if copy.late and copy.sale is not None:
            ledger[copy.sale.tile] = ledger.get(copy.sale.tile, 0) + 1
    return ledger


def check_scenarios(seeds: Iterable[int] = range(20)) -> None:
    """Several scenarios; the first that shows something ends it."""
    for seed in seeds:
        run_scenario(seed, draw_steps(seed), lanes=(1, 2, 3))


def check_step(world: World) -> None:
    """What is served never shrinks, and never holds more than there is."""
    found = {place: row["events"] for place, row in world.answers().items()}
    for place, events in world.events.items():
        now = found.get(place, 0)
        assert now >= events, f"{place}: {events} events were served, now {now}"
    known: dict[tuple[str, int], int] = {}
    for sale in sales_of(world.copies(), world.definition.deduplicate):
        known[sale.key, sale.tile] = known.get((sale.key, sale.tile), 0) + 1
    for place, events in found.items():
        assert events <= known.get(place, 0), f"{place}: {events} events are served, there are {known.get(place, 0)}"
    world.events = found


def check_end(world: World) -> None:
    """Everything is read, then batch takes over generation by generation: one answer all along."""
    live = world.live
    live.drain()
    world.step("serve", 0)
    check_conservation(world, live)
    served = world.store.served(world.definition.name)
    assert served is not None, "the live run has caught up, and isn't served"
    assert served.live_run == live.run.id, "the live run has caught up, and isn't served"
    check_served(world, served.boundary)
    check_late_ledger(world, live)
    last = world.index().sealed
    assert last == world.index().current, "all lanes are closed, all is sealed"
    for boundary in range(served.boundary + 1, last + 1):
        work = world.build(upto=boundary)
        if work is None:
            continue
        assert world.publish_batch(work), world.refusals[-1]
        check_step(world)
        check_served(world, boundary)
    check_batch_conservation(world)
    if world.definition.deduplicate:
        check_splits(world, Random(len(world.sent)))


def check_served(world: World, boundary: int) -> None:
    """All events up to the boundary, and those after it that weren't late: no more, no less, exact."""
    copies = [copy for copy in world.copies() if copy.generation <= boundary or not copy.late]
    if world.definition.deduplicate:
        wrong = differences(world.answers(), expected(sales_of(copies)))
        assert not wrong, f"boundary {boundary}: {'; '.join(wrong[:5])}"
        return
    counted: dict[tuple[str, int], int] = {}
    for sale in sales_of(copies, deduplicate=False):
        counted[sale.key, sale.tile] = counted.get((sale.key, sale.tile), 0) + 1
    assert {place: row["sales"] for place, row in world.answers().items()} == counted


def check_conservation(world: World, live: Live) -> None:
    """Of every record that live received it is known what became of it, and rows and tallies agree."""
    version = world.definition.version
    residues = world.store.residues(version, live.run.id)
    assert set(residues.values()) <= {0}, f"live residues {residues}"
    rows = world.store.row_residues(version, live.run.id)
    assert set(rows.values()) <= {0}, f"tallies and rows differ by {rows}"
    base = world.store.live_run(version, live.run.id).base_boundary
    received = {copy.generation for copy in world.copies() if copy.generation > base}
    assert received <= residues.keys(), "a generation was never received"


def check_batch_conservation(world: World) -> None:
    """The same of batch, over all its layers."""
    served = world.store.served(world.definition.name)
    assert served is not None
    if served.batch_run is not None:
        residues = world.store.batch_residues(served.batch_run)
        assert set(residues.values()) <= {0}, f"batch residues {residues}"


def check_late_ledger(world: World, live: Live) -> None:
    """The ledger has the late events of each tile, by the rule."""
    base = world.store.live_run(world.definition.version, live.run.id).base_boundary
    wanted = late_by_rule(copy for copy in world.copies() if copy.generation > base)
    with world.store.database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT tile, SUM(count) FROM late_ledger JOIN live_runs ON live_runs.id = late_ledger.run "
            f"WHERE live_runs.run = '{live.run.id}' GROUP BY tile"
        ).all()
    assert {tile: int(count) for tile, count in rows} == wanted


def check_splits(world: World, random: Random) -> None:
    """Batch over all = live over all with the late ones added back = every split between them, byte for byte.

    Without a store: the events of every segment as routing gives them, with the stored watermarks and without.
    """
    on_time, everything = _routed(world, late=False), _routed(world, late=True)
    measures = world.compiled.measures
    whole = encoded(measures, _batch(world, everything))
    live = _live(world, on_time, random)
    together = on_time + _late_parts(world)
    assert encoded(measures, _merged(measures, _live(world, together, random))) == whole, "live, late added back"
    for boundary in sorted({generation for _, generation, _ in everything}):
        before = [part for part in everything if part[1] <= boundary]
        after = [part for part in everything if part[1] > boundary]
        counted = _tile_states(world, before)
        rest = _tile_states(world, after, seen={tile: state.seen.dump() for tile, state in counted.items()})
        blocks = [(tile, state.block) for states in (counted, rest) for tile, state in states.items()]
        assert encoded(measures, _merged(measures, blocks)) == whole, f"split after generation {boundary}"
    assert {tile for tile, _ in live} <= {tile for tile, _ in _batch_blocks(world, everything)}


Part = tuple[int, int, pa.RecordBatch]
"""Tile, generation, events."""


def _routed(world: World, late: bool) -> list[Part]:
    """Events of all segments; `late`: those too that live leaves out."""
    route = _Route(world.definition, 1, 0)
    route.setup()
    return [
        (key[0], batch.generation, events)
        for batch in world.batches(late=late)
        for key, events in parts_of(route.process(batch))[0]
    ]


def _late_parts(world: World) -> list[Part]:
    """Events that live left out, by the rule."""
    route = _Route(world.definition, 1, 0)
    route.setup()
    found = []
    for batch, stored in zip(world.batches(late=True), world.batches(late=False), strict=True):
        for (tile, _), events in parts_of(route.process(batch))[0]:
            if stored.watermark is not None and tile + TILE + LATENESS <= stored.watermark:
                found.append((tile, batch.generation, events))
    return found


def _tile_states(
    world: World, parts: Sequence[Part], seen: dict[int, pa.RecordBatch] | None = None
) -> dict[int, TileState]:
    """One update a tile, as batch does it; `seen` holds what counted before."""
    states: dict[int, TileState] = {}
    for tile in sorted({tile for tile, _, _ in parts}):
        states[tile] = TileState(world.compiled, (tile, 0))
        if seen is not None and tile in seen:
            states[tile].seen.load(seen[tile])
        update = states[tile].update([events for other, _, events in parts if other == tile], "batch")
        check_tallies(update.tallies, sum(len(events) for other, _, events in parts if other == tile))
    return states


def check_tallies(tallies: Sequence[Tally], routed: int) -> None:
    """What was routed to a tile is counted or a duplicate."""
    found = sum(tally.counted + tally.duplicates for tally in tallies)
    assert found == routed, f"{found} events counted or duplicates, {routed} were routed"


def _batch_blocks(world: World, parts: Sequence[Part]) -> list[tuple[int, pa.RecordBatch]]:
    return [(tile, state.block) for tile, state in _tile_states(world, parts).items() if state.block is not None]


def _batch(world: World, parts: Sequence[Part]) -> pa.RecordBatch:
    return _merged(world.compiled.measures, _batch_blocks(world, parts))


def _live(world: World, parts: Sequence[Part], random: Random) -> list[tuple[int, pa.RecordBatch]]:
    """The same events in any order and any panes, with restarts from stored entries between them."""
    states: dict[int, TileState] = {}
    entries: dict[int, list[bytes]] = {}
    queue = random.sample(list(parts), len(parts))
    while queue:
        tile = queue[0][0]
        pane = [part for part in queue if part[0] == tile][: random.randint(1, 3)]
        queue = [part for part in queue if not any(part is other for other in pane)]
        if tile not in states or random.random() < 0.3:
            states[tile] = TileState(world.compiled, (tile, 0))
            held = entries.setdefault(tile, [])
            states[tile].restore(random.sample(held, len(held)))
        update = states[tile].update([events for _, _, events in pane], "early")
        entries[tile].append(states[tile].delta_bytes(update))
        if random.random() < 0.2:
            entries[tile] = [states[tile].snapshot_bytes()]
    return [(tile, state.block) for tile, state in states.items() if state.block is not None]


def _merged(measures: Measures, blocks: Iterable[tuple[int, pa.RecordBatch | None]]) -> pa.RecordBatch:
    """All tiles in one block, generations merged; its generation column holds the tile."""
    return merge_blocks(measures, [with_generation(block, tile) for tile, block in blocks if block is not None])


def encoded(measures: Measures, block: pa.RecordBatch) -> States:
    """The bytes that the store would keep of each key and tile."""
    tiles, events = block.column(0).to_pylist(), block.column(2).to_pylist()
    states = encode_states(measures, block) if block.num_rows else []
    keys = block.column(KEY).to_pylist()
    return {(key, tile): (count, state) for key, tile, count, state in zip(keys, tiles, events, states, strict=True)}


def check_late_copy(first: str = "late", lead: int = 100 * SECOND) -> None:
    """The lane that is ahead takes a copy in as late, in generation 1; the lane behind counts another in 2."""
    with world_of(1, lanes=(2,)) as world:
        ahead, behind, sale = 0, 1, Sale("x", START)
        for lane in (ahead, behind):
            world.live.pull(lane)
        world.broker.publish(Sale("far", START + lead).payload())
        world.live.pull(ahead)
        world.broker.publish(sale.payload())
        world.clock.advance(SECOND)  # by now others see how far this lane is
        # the bundle of the late segment succeeds at once, or fails and comes again when the other copy has counted
        world.live.pull(ahead, None if first == "late" else "bundle")
        for key in sorted(world.live.pending):
            world.live.fire(key)
        next_generation(world.blobs, world.clock, 1, "test")
        world.clock.advance(SECOND)
        world.live.pull(behind)
        world.broker.publish(sale.payload())
        world.live.pull(behind)
        for key in sorted(world.live.pending):
            world.live.fire(key)
        world.broker.publish(Sale("farther", START + lead).payload())
        for _ in range(3):
            world.live.pull(behind)
            world.clock.advance(SECOND)
        assert [(copy.generation, copy.late) for copy in world.copies() if copy.sale == sale] == [(1, True), (2, False)]
        check_end(world)


def check_late_pane() -> None:
    """An event in time, but late for its window, whose pane fires when the watermark is far past the lateness."""
    with world_of(2, lanes=(1,)) as world:
        live = world.live

        def send(sale: Sale) -> None:
            world.broker.publish(sale.payload())
            for _ in range(3):
                live.pull(0)
                world.clock.advance(SECOND)

        send(Sale("first", START))
        live.fire((START, 0))
        send(Sale("over", START + 18 * SECOND))
        live.fire((START + TILE, 0))
        assert live.watermark is not None
        assert START + TILE <= live.watermark < START + TILE + LATENESS
        send(Sale("straggler", START + SECOND))
        send(Sale("far", START + 100 * SECOND))
        assert live.watermark > START + TILE + LATENESS + TILE
        check_end(world)


def check_publishing(tear: bool = False) -> None:
    """Whoever asks while the pointer moves gets the answers from before or from after; here they are equal.

    `tear`: move it in two halves, as only the test of this test may.
    """
    with world_of(4, lanes=(1,)) as world:
        for number in range(6):
            world.broker.publish(Sale(f"s{number}", START + number).payload())
            if number == 3:
                world.live.readers[0].request_roll()
            world.clock.advance(SECOND)
            world.live.pull(0)
        world.live.drain()
        world.step("serve", 0)
        seen = [world.answers()]
        work = world.build(upto=1)
        assert work is not None
        asking, stop = threading.Thread(target=lambda: _ask(world, seen, stop)), threading.Event()
        asking.start()
        look = (lambda: seen.append(world.answers())) if tear else None
        name, version = world.definition.name, world.definition.version
        world.store.publish(name, version, work.batch_run, work.live_run, _tear=look)
        stop.set()
        asking.join()
        seen.append(world.answers())
        assert world.boundary == 1
        assert all(answers == seen[0] for answers in seen), "an answer was neither the old one nor the new one"
        assert sum(row["events"] for row in seen[0].values()) == 6


def _ask(world: World, seen: list[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        seen.append(world.answers())
