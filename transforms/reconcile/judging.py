"""Judges a recomputed tile: what is wrong in batch and live, in plain functions, without Beam or store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tandem.schemas.columns import GENERATION
from tandem.transforms.reconcile.recomputing import Predicted, Recomputed
from tandem.transforms.routing.seen_ids import as_ids
from tandem.views.reconcile.auditing import Audit, Suspect
from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.digests import id_hashes, sum_of
from tandem.views.reconcile.receipts import RepairedKey, State
from tandem.views.reconcile.repairing import TileRepair
from tandem.views.reconcile.tile_audit import IdSum, Place
from tandem.views.reconcile.tile_causes import Causes

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The findings about one tile."""

    repair: TileRepair | None
    causes: Mapping[Place, Causes]
    """Why live and batch differ, by tile and generation."""
    batch_logic: tuple[str, ...] = ()
    """Keys of which batch counted the right events, and has another value than the recomputed one."""
    live_logic: tuple[str, ...] = ()
    """Keys for which live has another value than batch from the same events; the recomputed value is batch's."""
    counted: Mapping[int, IdSum] | None = None
    """The counted ids of each generation once the repair is served; None: as recorded by batch."""


def judge(found: Audit, fresh: Recomputed, rows: Mapping[str, State]) -> Judgement:
    """Compare the served rows, and live's tallies, with the recomputed tile."""
    tile, suspect = fresh.tile, found.suspects[fresh.tile]
    counted, written = _counted(fresh), _of_tile(found.batch.ids_written, fresh.tile)
    same_events = _total(counted) == _total(written)
    keys = _differences(tile, rows, fresh.rows)
    batch_logic: tuple[str, ...] = ()
    if keys and same_events and not suspect.rows:
        batch_logic, keys = tuple(key.key for key in keys), ()
    ids_wrong = suspect.ids or not same_events
    repair = None
    if not batch_logic and (keys or suspect.rows or ids_wrong):
        repair = _repair(found, fresh, keys, counted if ids_wrong else written, ids_wrong)
    wrong = {key.key for key in keys} | set(batch_logic)
    live_logic = tuple(sorted(suspect.values - wrong))
    causes = _causes(found, fresh, suspect)
    if batch_logic or live_logic:
        causes = _with_logic(causes, found, tile, len({*batch_logic, *live_logic}))
    return Judgement(repair, causes, batch_logic, live_logic, counted if ids_wrong else None)


def _counted(fresh: Recomputed) -> dict[int, IdSum]:
    if not fresh.ids.num_rows:
        return {}
    generations, hashes = fresh.ids.column(GENERATION).to_numpy(), id_hashes(fresh.ids)
    sums = {}
    for generation in np.unique(generations).tolist():
        mine = generations == generation
        sums[generation] = IdSum(int(mine.sum()), sum_of(hashes[mine]))
    return sums


def _of_tile(sums: Mapping[Place, IdSum], tile: int) -> dict[int, IdSum]:
    return {generation: ids for (at, generation), ids in sums.items() if at == tile}


def _total(sums: Mapping[int, IdSum]) -> IdSum:
    total = IdSum()
    for ids in sums.values():
        total = total.add(ids)
    return total


def _differences(tile: int, rows: Mapping[str, State], right: Mapping[str, State]) -> tuple[RepairedKey, ...]:
    """The keys whose rows differ, sorted."""
    keys = []
    for key in sorted({*rows, *right}):
        before, after = rows.get(key), right.get(key)
        if before != after:
            cause = "missing" if before is None else "extra" if after is None else "wrong"
            keys.append(RepairedKey(tile, key, cause, before, after))
    return tuple(keys)


def _repair(
    found: Audit, fresh: Recomputed, keys: tuple[RepairedKey, ...], counted: Mapping[int, IdSum], ids_wrong: bool
) -> TileRepair:
    after = RowSum.of([(key, events, states) for key, (events, states) in fresh.rows.items()])
    written = _of_tile(found.batch.ids_written, fresh.tile)
    more = {
        generation: counted.get(generation, IdSum()).counted - written.get(generation, IdSum()).counted
        for generation in {*counted, *written}
    }
    return TileRepair(
        tile=fresh.tile,
        keys=keys,
        written=found.batch.rows_written.get(fresh.tile, RowSum()),
        after=after,
        ids=as_ids(fresh.ids) if ids_wrong and found.deduplicates else None,
        counts={generation: count for generation, count in more.items() if count},
    )


def _causes(found: Audit, fresh: Recomputed, suspect: Suspect) -> dict[Place, Causes]:
    """Why live and batch differ in this tile, by generation."""
    if found.live is None:
        return {}
    said = _of_tile(found.live.said, fresh.tile)
    return {
        (fresh.tile, generation): _cause(said.get(generation, IdSum()), fresh.live.get(generation))
        for generation in {*said, *fresh.live}
    }


def _cause(said: IdSum, predicted: Predicted | None) -> Causes:
    expected = predicted or Predicted(0, 0, Causes())
    same = said.counted == expected.counted and said.digest in (None, expected.digest)
    if same:
        return expected.causes
    missing, extra = max(expected.counted - said.counted, 0), max(said.counted - expected.counted, 0)
    if not missing and not extra:
        missing = extra = 1  # at the least
    return replace(expected.causes, missing=missing, extra=extra)


def _with_logic(causes: dict[Place, Causes], found: Audit, tile: int, keys: int) -> dict[Place, Causes]:
    """The causes with logic errors: values cover all generations, so the error is noted with the last one."""
    places = [place for place in found.places() if place[0] == tile]
    if not places:
        return causes
    last = max(places)
    return {**causes, last: replace(causes.get(last, Causes()), logic=keys)}
