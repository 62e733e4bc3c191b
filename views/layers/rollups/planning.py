"""Plans rollups: those that a batch run should have, and which of them are missing or outdated.

A unit is a month of one grain, or a day where a month has too many states for one piece of work. It is made anew as a
whole; days that no later run wrote into are copied from the previous unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.time.durations import DAY
from tandem.views.batch.chains import Chain
from tandem.views.layers.compaction.prefix import common_ancestor
from tandem.views.layers.cutting import FILE_ROWS, month_of
from tandem.views.layers.rollups.catalog import Unit, rollups_of, units_of
from tandem.views.layers.rollups.changes import changed_hours
from tandem.views.layers.rollups.grains import SHRINK
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.storage.tables import batch_runs, pointers, publications

__all__ = ["Outdated", "outdated_units", "rollup_prefix"]

_MOST: Final = {DAY: 64 * FILE_ROWS, DAY // 24: FILE_ROWS}
"""By grain the most states of tiles of a month in one unit."""
_ALL: Final = (-(2**62), 2**62)


@dataclass(frozen=True, slots=True)
class Outdated:
    """A unit to be made."""

    grain: int
    first_day: int
    last_day: int
    days: tuple[int, ...]
    """Days that are made from tiles, as far as they have any; other days are copied."""
    old: Unit | None
    """The source of the copied days."""
    rows: Mapping[int, int]
    """By day the number of states of tiles."""


def rollup_prefix(connection: sa.Connection, definition: int) -> int | None:
    """The newest batch run that all served publications of a version stand on, or else the newest complete one."""
    p = publications.c
    query = sa.select(p.batch_run).join(pointers, pointers.c.publication == p.ordinal)
    served = set(connection.execute(query.where(p.definition == definition)).scalars()) - {None}
    if served:
        return common_ancestor(connection, definition, sorted(served))
    complete = (batch_runs.c.definition == definition) & (batch_runs.c.status == "COMPLETE")
    return connection.execute(sa.select(sa.func.max(batch_runs.c.ordinal)).where(complete)).scalar()


def outdated_units(connection: sa.Connection, definition: int, chain: Chain, grains: tuple[int, ...]) -> list[Outdated]:
    """The missing or outdated units of a chain's rollups, by month, the finest grain first."""
    by_day = _rows_by_day(connection, definition, chain)
    months: dict[tuple[int, int], dict[int, int]] = {}
    for day, rows in by_day.items():
        months.setdefault(month_of(day), {})[day] = rows
    units = {
        (unit.grain, unit.start, unit.end): unit
        for unit in units_of(connection, definition, rollups_of(connection, definition, chain, *_ALL))
    }
    found: list[Outdated] = []
    for _, days in sorted(months.items()):
        for grain in sorted(grains):
            for first, last in _spans(days, _MOST[grain]):
                unit = units.get((grain, first * DAY, (last + 1) * DAY))
                mine = {day: rows for day, rows in days.items() if first <= day <= last}
                found += _outdated(connection, chain, (grain, first, last), mine, unit)
    return found


def _spans(days: Mapping[int, int], most: int) -> Iterator[tuple[int, int]]:
    """The whole month, from its first to its last day, or each day."""
    if sum(days.values()) > most:
        yield from ((day, day) for day in sorted(days))
    else:
        some, month = min(days), month_of(min(days))
        first, last = some, some
        while month_of(first - 1) == month:
            first -= 1
        while month_of(last + 1) == month:
            last += 1
        yield first, last


def _outdated(
    connection: sa.Connection,
    chain: Chain,
    place: tuple[int, int, int],
    rows: Mapping[int, int],
    unit: Unit | None,
) -> Iterator[Outdated]:
    if unit is None:
        yield Outdated(*place, tuple(sorted(rows)), None, rows)
        return
    changed = changed_hours(connection, chain, unit.prefix)
    days = np.unique(changed[(changed >= unit.start) & (changed < unit.end)] // DAY).tolist()
    if not days or (not unit.buckets and sum(rows.values()) < SHRINK * unit.rows):
        return
    if not unit.buckets:
        yield Outdated(*place, tuple(sorted(rows)), None, rows)
    else:
        yield Outdated(*place, tuple(days), unit, rows)


def _rows_by_day(connection: sa.Connection, definition: int, chain: Chain) -> dict[int, int]:
    """By day the number of states of tiles in the newest runs of a chain."""
    d = batch_state_digests.c
    day = (d.tile - ((d.tile % DAY) + DAY) % DAY).label("day")
    query = sa.select(d.batch_run, day, sa.func.sum(d.rows)).where(d.definition == definition)
    found: dict[int, int] = {}
    for run, start, rows in connection.execute(query.group_by(d.batch_run, day)):
        if run in chain:
            found[start // DAY] = found.get(start // DAY, 0) + int(rows)
    return {day: rows for day, rows in found.items() if rows > 0}
