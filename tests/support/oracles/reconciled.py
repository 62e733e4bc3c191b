"""Reconciling without a runner: the store's audit, suspect tiles computed again, and the repair."""

from __future__ import annotations

from dataclasses import dataclass

from tandem.schemas.errors import PublishRefusedError
from tandem.transforms.reconcile.judging import Judgement, judge
from tandem.transforms.reconcile.recomputing import Recomputed, RecomputedCoder, recompute
from tandem.transforms.reconcile.reconciling import _RouteWanted
from tandem.transforms.tiles import LetterSource
from tandem.verification.world.world import World
from tandem.views.batch.chain_sources import rows_of
from tandem.views.reconcile.auditing import Audit, audit
from tandem.views.reconcile.repairing import Findings, write_findings
from tandem.views.reconcile.tile_causes import Causes
from tandem.views.reconcile.tile_knowledge import ViewRef, tile_knowledge

__all__ = ["Reconciled", "reconciled", "repaired", "tampered"]


@dataclass
class Reconciled:
    """What was found in a world."""

    found: Audit
    judged: dict[int, Judgement]

    @property
    def causes(self) -> dict[tuple[int, int], Causes]:
        causes = dict(self.found.causes)
        for each in self.judged.values():
            causes |= each.causes
        return causes

    def total(self, name: str) -> int:
        return sum(getattr(cause, name) for cause in self.causes.values())


def reconciled(world: World, *, everything: bool = False) -> Reconciled:
    """Look, and compute suspect tiles again from all segments up to the boundary."""
    found = audit(world.store, world.compiled, deduplicates=world.definition.deduplicate, everything=everything)
    scope, parts = found.scope, dict[int, list[object]]()
    route = _RouteWanted(world.definition, frozenset(found.suspects), LetterSource(world.home.store, 0))
    route.setup()
    for batch in world.batches(late=False):
        if batch.generation <= scope.boundary:
            for (tile, _), part in route.process(batch):
                parts.setdefault(tile, []).append(part)
    floor = found.live.floor if found.live is not None else 0
    view = ViewRef(world.home.store, world.definition.version, str(scope.batch_run), scope.live_run, floor)
    rows, judged = rows_of(world.store, scope, found.suspects), dict[int, Judgement]()
    for tile in found.suspects:
        fresh = Recomputed.empty(tile)
        if tile in parts:
            fresh = recompute(world.compiled, tile, parts[tile], tile_knowledge(world.store, view, tile))
        coder = RecomputedCoder()
        assert coder.encode(coder.decode(coder.encode(fresh))) == coder.encode(fresh)
        judged[tile] = judge(found, coder.decode(coder.encode(fresh)), rows[tile])
    return Reconciled(found, judged)


def repaired(world: World, name: str, now: int) -> int | None:
    """Reconcile and repair as the batch run `name`; how many states were repaired, None if that was refused."""
    result = reconciled(world)
    assert not any(judged.batch_logic or judged.live_logic for judged in result.judged.values()), result.judged
    unlawful = {place: cause for place, cause in result.causes.items() if not cause.explained}
    repairs = [judged.repair for judged in result.judged.values() if judged.repair is not None]
    assert repairs or not unlawful, unlawful
    try:
        write_findings(world.store, Findings(result.found.scope, repairs, [], {}), name, now)
    except PublishRefusedError:
        return None
    return sum(len(repair.keys) for repair in repairs)


def tampered(world: World, pick: int) -> tuple[str, ...]:
    """Break one row of the newest layer of batch; returns the statements that mend it, none for no such row.

    A row isn't lost where an equal one lies beneath it: that of a repair does, once what was broken is mended.
    """
    hidden = (
        "SELECT 1 FROM batch_states o WHERE o.definition = s.definition AND o.key = s.key AND o.tile = s.tile"
        " AND o.batch_run <> s.batch_run AND o.events = s.events AND o.states = s.states"
    )
    apart = f" AND NOT EXISTS ({hidden})" if pick % 2 else ""
    served = world.store.publishing.served(world.definition.name)
    with world.store.database.write() as connection:
        query = (
            "SELECT s.definition, s.key, s.tile, s.batch_run, s.events, hex(s.states) FROM batch_states s"
            " JOIN batch_runs r ON r.ordinal = s.batch_run"
            f" WHERE r.id = '{served.batch_run if served else ''}' AND s.events > 0{apart} ORDER BY s.key, s.tile"
        )
        rows = connection.exec_driver_sql(query).all()
        if not rows:
            return ()
        definition, key, tile, run, events, states = rows[pick % len(rows)]
        columns = f"{definition}, '{key}', {tile}, {run}, {events}, x'{states}'"
        place = f"definition = {definition} AND key = '{key}' AND tile = {tile} AND batch_run = {run}"
        if pick % 2:
            connection.exec_driver_sql(f"DELETE FROM batch_states WHERE {place}")
        else:
            sealed = "tandem_crc('batch_states', definition, key, tile, batch_run, events + 1, states)"
            connection.exec_driver_sql(f"UPDATE batch_states SET events = events + 1, crc = {sealed} WHERE {place}")
    return (
        f"DELETE FROM batch_states WHERE {place}",
        f"INSERT INTO batch_states VALUES ({columns}, tandem_crc('batch_states', {columns}))",
    )
