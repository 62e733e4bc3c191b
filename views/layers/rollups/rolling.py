"""Brings the rollups of a definition up to the served state, unit by unit; each replaces its old one at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.failpoints import reached
from tandem.schemas.time.durations import DAY
from tandem.storage.objects import ObjectExistsError
from tandem.storage.places import open_place
from tandem.views.batch.chains import Chain, Chains
from tandem.views.layers.catalog import layer_files, packed_contents, stored_place
from tandem.views.layers.compaction.swapping import working
from tandem.views.layers.compaction.tables import rollup_files
from tandem.views.layers.cutting import Part
from tandem.views.layers.lists import ListChangedError, revised, revision_of
from tandem.views.layers.rollups.building import Sources, rolled_day, unit_files, unit_rows
from tandem.views.layers.rollups.catalog import forget_rollups
from tandem.views.layers.rollups.grains import SHRINK, grains_of
from tandem.views.layers.rollups.planning import Outdated, outdated_units, rollup_prefix
from tandem.views.layers.writing import LayerData
from tandem.views.rows import Compiled
from tandem.views.storage.database import Clock, Database
from tandem.views.storage.tables import batch_runs, store_version

__all__ = ["RolledUp", "RollupPlan", "planned_rollups", "roll_up"]


@dataclass(frozen=True, slots=True)
class RollupPlan:
    """Missing or outdated rollups."""

    prefix: int
    chain: Chain
    revision: int
    """Revision of the list of files that it is based on."""
    units: Sequence[Outdated]
    sources: Sources


@dataclass(frozen=True, slots=True)
class RolledUp:
    """The rollups that were made."""

    units: int = 0
    rows: int = 0
    files: int = 0
    size: int = 0


def planned_rollups(database: Database, compiled: Compiled, definition: int) -> RollupPlan | None:
    """The plan of `roll_up`; None for a definition or a store without rollups."""
    grains = grains_of(compiled)
    with database.read() as connection:
        prefix = rollup_prefix(connection, definition) if grains else None
        if prefix is None:
            return None
        chain, revision = Chains().of(connection, prefix), revision_of(connection, definition)
        units = outdated_units(connection, definition, chain, grains)
        files = layer_files(connection, definition, chain) if units else []
    sources = Sources(database, compiled, definition, files, sorted(chain))
    return RollupPlan(prefix, chain, revision, units, sources)


def roll_up(plan: RollupPlan, compaction: str, place: str, clock: Clock) -> RolledUp:
    """Make the planned rollups, in the name of a compaction that is BUILDING; new files lie at `place`.

    Raises ListChangedError if another process swapped files meanwhile: the plan's own may have gone.
    """
    work, done = _Work(plan, compaction, place, clock), RolledUp()
    days = sorted({day for unit in plan.units for day in unit.days})
    held: dict[tuple[int, int], list[pa.RecordBatch]] = {}
    waiting = list(plan.units)
    for day in [*days, None]:
        ended = [unit for unit in waiting if day is None or unit.days[-1:] < (day,)]
        for unit in ended:
            waiting.remove(unit)
            done = work.finish(done, unit, held.pop((unit.grain, unit.first_day), []))
        mine = [unit for unit in waiting if day in unit.days]
        if day is None or not mine:
            continue
        rows = rolled_day(plan.sources, day, mine[0].rows.get(day, 0), [unit.grain for unit in mine])
        for unit in mine:
            held.setdefault((unit.grain, unit.first_day), []).append(rows[unit.grain])
    return done


class _Work:
    def __init__(self, plan: RollupPlan, compaction: str, place: str, clock: Clock) -> None:
        self._plan, self._compaction, self._place, self._clock = plan, compaction, place, clock
        self._revision = plan.revision

    def finish(self, done: RolledUp, unit: Outdated, made: Sequence[pa.RecordBatch]) -> RolledUp:
        compiled = self._plan.sources.compiled
        rows = unit_rows(compiled, unit, made)
        of_tiles = sum(unit.rows.values())
        worth = rows.num_rows * SHRINK <= (self._finer(unit) or of_tiles)
        files = (
            list(self._written(unit, unit_files(compiled, unit, rows))) if worth else [self._nothing(unit, of_tiles)]
        )
        self._swap(unit, files)
        if not worth:
            return done
        written = [int(row[6]) for row in files if row[5]]
        return RolledUp(done.units + 1, done.rows + rows.num_rows, done.files + len(written), done.size + sum(written))

    def _finer(self, unit: Outdated) -> int:
        """Rows that finer grains keep for the same days."""
        r = rollup_files.c
        here = (r.first_tile >= unit.first_day * DAY) & (r.last_tile < (unit.last_day + 1) * DAY)
        finer = (r.definition == self._plan.sources.definition) & (r.grain < unit.grain) & (r.path != "")
        with self._plan.sources.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.sum(r.rows)).where(here, finer)).scalar() or 0)

    def _written(self, unit: Outdated, layers: Iterator[tuple[Part, LayerData | None]]) -> Iterator[tuple[Any, ...]]:
        database = self._plan.sources.database
        with database.read() as connection:
            store = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
        place = stored_place(database.url, self._place)
        for part, layer in layers:
            head = (unit.grain, f"{self._compaction}-{part.name}", self._plan.prefix, place)
            bounds = (part.first_day * DAY, (part.last_day + 1) * DAY - 1, part.first_bucket, part.last_bucket)
            if layer is None:
                yield (self._plan.sources.definition, *head, "", 0, 0, *bounds, b"")
                continue
            path = f"{store}/{self._compaction}/rollups/{unit.grain // 1_000_000}s-{part.name}-{layer.digest}.arrow"
            with suppress(ObjectExistsError):  # same name, same digest: the file is there
                open_place(self._place).create(path, layer.data)
            reached("layer-written")
            size = len(layer.data)
            yield (self._plan.sources.definition, *head, path, size, layer.rows, *bounds, packed_contents(layer))

    def _nothing(self, unit: Outdated, rows: int) -> tuple[Any, ...]:
        """The row that marks a unit as not worth it: without buckets."""
        name = f"{self._compaction}-{unit.first_day}_{unit.last_day}-none"
        head = (self._plan.sources.definition, unit.grain, name, self._plan.prefix, "", "", 0, rows)
        return (*head, unit.first_day * DAY, (unit.last_day + 1) * DAY - 1, 0, -1, b"")

    def _swap(self, unit: Outdated, files: Sequence[tuple[Any, ...]]) -> None:
        database, definition = self._plan.sources.database, self._plan.sources.definition
        r = rollup_files.c
        with database.write() as connection:
            working(connection, self._compaction, self._clock())
            revised(database, connection, definition, self._revision)
            self._revision += 1
            alive = sa.select(batch_runs.c.status).where(batch_runs.c.ordinal == self._plan.prefix).with_for_update()
            if connection.execute(alive).scalar() == "DROPPED":
                raise ListChangedError("the batch run that was rolled up is gone")
            here = (r.first_tile <= (unit.last_day + 1) * DAY - 1) & (r.last_tile >= unit.first_day * DAY)
            old = (r.definition == definition) & (r.grain == unit.grain) & here
            forget_rollups(database, connection, old, self._clock())
            database.write_rows(connection, database.insert(rollup_files), files)
            reached("files-swapped")
