"""The guarantees as checks over a world: parity, conservation, and numbers of events that never fall.

The suites call them, and so do the tests that break the product on purpose to see them fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from samples.sales import TILE, Sale, differences, expected
from without_runner.worlds import Copy, World

from oracles.told import check_told
from tandem.schemas.certificate import Status
from tandem.schemas.errors import PublishRefusedError
from tandem.verification.splits import check_splits
from tandem.verification.world.live_run import Live
from tandem.views.answers.point import answer

__all__ = ["check_end", "check_honesty", "check_step", "late_by_rule", "sales_of"]


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


def check_step(world: World) -> None:
    """What is served never shrinks, and never holds more than there is."""
    found = {place: row["events"] for place, row in world.answers().items()}
    for place, events in world.events.items():
        now = found.get(place, 0)
        assert now >= events, f"{place}: {events} events were served, now {now}"
    known: dict[tuple[str, int], int] = {}
    for sale in sales_of(world.sold(), world.definition.deduplicate):
        known[sale.key, sale.tile] = known.get((sale.key, sale.tile), 0) + 1
    for place, events in found.items():
        assert events <= known.get(place, 0), f"{place}: {events} events are served, there are {known.get(place, 0)}"
    world.events = found


def check_end(world: World) -> None:
    """Everything is read, then batch takes over generation by generation: one answer all along."""
    live = _serve_live(world)
    check_conservation(world, live)
    served = world.store.publishing.served(world.definition.name)
    assert served is not None
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


def _serve_live(world: World) -> Live:
    """The newest live run, once it has everything and is served."""
    world.live.drain()
    check_step(world)
    try:
        return world.serve_live()
    except PublishRefusedError as refused:
        raise AssertionError(f"caught up, and not served: {refused}") from refused


def check_served(world: World, boundary: int) -> None:
    """All events up to the boundary, and those after it that weren't late: no more, no less, exact."""
    copies = [copy for copy in world.sold() if copy.generation <= boundary or not copy.late]
    if world.definition.deduplicate:
        wrong = differences(world.answers(), expected(sales_of(copies)))
        assert not wrong, f"boundary {boundary}: {'; '.join(wrong[:5])}"
        return
    counted: dict[tuple[str, int], int] = {}
    for sale in sales_of(copies, deduplicate=False):
        counted[sale.key, sale.tile] = counted.get((sale.key, sale.tile), 0) + 1
    assert {place: row["sales"] for place, row in world.answers().items()} == counted


def check_honesty(world: World) -> int:
    """An answer that is FINAL holds all that was taken in of its window. Returns how many answers are FINAL."""
    served = world.store.publishing.served(world.definition.name)
    if served is None:
        return 0
    with world.store.database.read() as connection:
        query = (
            "SELECT lane, number FROM live_segments JOIN live_runs ON live_runs.id = live_segments.run "
            f"WHERE live_runs.run = '{served.live_run}'"
        )
        taken = {(lane, int(number)) for lane, number in connection.exec_driver_sql(query)}
    copies = [copy for copy in world.sold() if copy.generation <= served.boundary or copy.segment in taken]
    wanted, final = expected(sales_of(copies)), 0
    for key, tile in wanted:
        found = answer(world.store, world.compiled, key, tile, tile + TILE)
        if served.boundary:
            check_told(world.blobs, served.boundary, found.certificate.complete_to)
        if found.certificate.status is Status.FINAL:
            final += 1
            wrong = differences({(key, tile): found.results}, {(key, tile): wanted[key, tile]})
            assert not wrong, f"said to be FINAL: {wrong[0]}"
    return final


def check_conservation(world: World, live: Live) -> None:
    """Of every record that live received it is known what became of it, and rows and tallies agree."""
    version = world.definition.version
    residues = world.store.residues.of_live_run(version, live.run.id)
    assert set(residues.values()) <= {0}, f"live residues {residues}"
    rows = world.store.residues.of_rows(version, live.run.id)
    assert set(rows.values()) <= {0}, f"tallies and rows differ by {rows}"
    base = world.store.live.get(version, live.run.id).base_boundary
    received = {copy.generation for copy in world.sold() if copy.generation > base}
    assert received <= residues.keys(), "a generation was never received"


def check_batch_conservation(world: World) -> None:
    """The same of batch, over all its layers."""
    served = world.store.publishing.served(world.definition.name)
    assert served is not None
    if served.batch_run is not None:
        residues = world.store.residues.of_batch_run(served.batch_run)
        assert set(residues.values()) <= {0}, f"batch residues {residues}"


def check_late_ledger(world: World, live: Live) -> None:
    """The ledger has the late events of each tile, by the rule."""
    base = world.store.live.get(world.definition.version, live.run.id).base_boundary
    wanted = late_by_rule(copy for copy in world.sold() if copy.generation > base)
    with world.store.database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT tile, SUM(count) FROM late_ledger JOIN live_runs ON live_runs.id = late_ledger.run "
            f"WHERE live_runs.run = '{live.run.id}' GROUP BY tile"
        ).all()
    assert {tile: int(count) for tile, count in rows} == wanted
