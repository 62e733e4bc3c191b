"""Joins the files and rows of a definition's batch runs, area by area, while readers and writers run.

Killed at any instant it leaves files that no list names, which the next compaction, or `tandem prune`, removes; areas
that were swapped stay swapped. Its extra disk is bounded: replaced files stay for the grace time, so areas beyond the
bound wait for the next compaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.schemas.failpoints import reached
from tandem.storage.objects import ObjectExistsError, ObjectMissingError
from tandem.storage.places import open_place
from tandem.views.layers.catalog import resolved, stored_place
from tandem.views.layers.compaction.areas import Area, areas_of
from tandem.views.layers.compaction.joining import joined_files
from tandem.views.layers.compaction.prefix import common_prefixes, newest_prefixes
from tandem.views.layers.compaction.swapping import NewFile, abandon_older, begin, end, swap
from tandem.views.layers.lists import ListChangedError, revision_of
from tandem.views.layers.rollups.rolling import planned_rollups, roll_up
from tandem.views.layers.tables import batch_files, removed_files
from tandem.views.locking.turns import turn
from tandem.views.lookups import definition_row
from tandem.views.rows import Compiled
from tandem.views.storage.database import Clock, Database
from tandem.views.storage.tables import store_version

__all__ = ["EXTRA_DISK", "NOTHING_COMPACTED", "Compacted", "compact", "to_compact"]

EXTRA_DISK: Final = 0.25
"""Extra disk of a compaction, as a share of the batch states' files."""
_LEAST_DISK: Final = 64 << 20
"""Extra bytes that are always allowed."""
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Compacted:
    """The result of a compaction, done or planned."""

    areas: int = 0
    files: int = 0
    """Files that were replaced."""
    rows: int = 0
    """Rows of the database that were moved into files."""
    size: int = 0
    """Bytes of the files that were replaced."""
    written: int = 0
    """Files that replaced them."""
    written_size: int = 0
    waiting: int = 0
    """Areas that wait until replaced files go, for want of allowed disk."""
    waiting_size: int = 0
    kept: int = 0
    """Batch runs above the prefix, which can be served by themselves."""
    rollups: int = 0
    """Months and days whose hours or days were rolled up."""
    rollup_rows: int = 0
    rollup_size: int = 0

    def plus(self, other: Compacted) -> Compacted:
        """The sum of both."""
        return Compacted(*(getattr(self, name) + getattr(other, name) for name in Compacted.__slots__))


NOTHING_COMPACTED: Final = Compacted()


@dataclass(frozen=True, slots=True)
class _Plan:
    definition: int
    revision: int
    """Revision of the list of files that it is based on."""
    areas: list[Area]
    """Areas to join now."""
    waiting: list[Area]
    kept: int

    def left(self, done: Compacted) -> Compacted:
        """The joined areas, with those that wait."""
        waiting = sum(area.size for area in self.waiting)
        return replace(done, waiting=len(self.waiting), waiting_size=waiting, kept=self.kept)


def to_compact(
    database: Database, compiled: Compiled, *, extra: float = EXTRA_DISK, everything: bool = False
) -> Compacted:
    """The plan of `compact`, without the numbers of new files."""
    plan, found = _planned(database, compiled.version, extra, everything), NOTHING_COMPACTED
    for area in plan.areas:
        found = found.plus(_replaced(area))
    rollups = planned_rollups(database, compiled, plan.definition)
    return replace(plan.left(found), rollups=len(rollups.units) if rollups is not None else 0)


def compact(
    database: Database,
    compiled: Compiled,
    place: str,
    clock: Clock,
    *,
    extra: float = EXTRA_DISK,
    everything: bool = False,
    tell: Callable[[str], object] = print,
) -> Compacted:
    """Join the areas of a definition version that are worth it; new files lie at `place`.

    `extra`: extra disk, as a share of the batch states' files; `everything`: join large files too. Waits for another
    compaction of the version to end. Raises DamagedStoreError for a file that isn't as it was written, StoreError where
    the list changes at every attempt.
    """
    with turn(database, f"{compiled.version}.compaction", tell):
        plan = _planned(database, compiled.version, extra, everything)
        abandon_older(database, plan.definition, clock())
        rollups = planned_rollups(database, compiled, plan.definition)
        if not plan.areas and (rollups is None or not rollups.units):
            return plan.left(NOTHING_COMPACTED)
        work = _Work(database, compiled, place, clock, f"compaction-{secrets.token_hex(6)}")
        begin(database, plan.definition, work.name, clock())
        try:
            done = _joined(work, plan, lambda: _planned(database, compiled.version, extra, everything))
            return _rolled_up(work, plan.definition, done)
        finally:
            end(database, work.name, clock())


def _joined(work: _Work, plan: _Plan, plan_anew: Callable[[], _Plan]) -> Compacted:
    done = NOTHING_COMPACTED
    for _ in range(_TRIES):
        try:
            for step, area in enumerate(plan.areas):
                done = done.plus(work.join(plan.definition, area, plan.revision + step))
            return plan.left(done)
        except ListChangedError:
            plan = plan_anew()
    raise work.conflict()


def _rolled_up(work: _Work, definition: int, done: Compacted) -> Compacted:
    for _ in range(_TRIES):
        plan = planned_rollups(work.database, work.compiled, definition)
        if plan is None or not plan.units:
            return done
        with suppress(ListChangedError):
            made = roll_up(plan, work.name, work.place, work.clock)
            return replace(done, rollups=made.units, rollup_rows=made.rows, rollup_size=made.size)
    raise work.conflict()


@dataclass(frozen=True, slots=True)
class _Work:
    database: Database
    compiled: Compiled
    place: str
    clock: Clock
    name: str

    def conflict(self) -> StoreError:
        """The error of a list that changed at each attempt."""
        name = self.compiled.definition.name
        return StoreError(f"{name}: the list of files of batch states is being changed by others: try again")

    def join(self, definition: int, area: Area, revision: int) -> Compacted:
        """Join one area, chosen by that revision of the list."""
        files = list(self._written(definition, area))
        swap(self.database, definition, self.name, revision, area, files, self.clock())
        size = sum(len(file.layer.data) for file in files)
        return replace(_replaced(area), written=len(files), written_size=size)

    def _written(self, definition: int, area: Area) -> Iterator[NewFile]:
        with self.database.read() as connection:
            store = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
        for part, layer in joined_files(self.database, self.compiled, definition, area):
            path = f"{store}/{self.name}/{part.name}-{layer.digest}.arrow"
            with suppress(ObjectExistsError):  # same name, same digest: the file is there
                open_place(self.place).create(path, layer.data)
            reached("layer-written")
            yield NewFile(part, stored_place(self.database.url, self.place), path, layer)


def _replaced(area: Area) -> Compacted:
    rows, size = sum(each.rows for each in area.stored), sum(file.size for file in area.files)
    return Compacted(areas=1, files=len(area.files), rows=rows, size=size)


def _planned(database: Database, version: str, extra: float, everything: bool) -> _Plan:
    with database.read() as connection:
        definition = int(definition_row(connection, version).id)
        revision = revision_of(connection, definition)
        prefixes = common_prefixes(connection, definition)
        found = [
            area for prefix in prefixes for area in areas_of(connection, definition, prefix, everything=everything)
        ]
        left = _allowed(connection, extra)
        kept = sum(map(len, newest_prefixes(connection, definition))) - sum(map(len, prefixes))
    areas, waiting = list[Area](), list[Area]()
    for area in found:
        (areas if area.size <= left else waiting).append(area)
        left -= area.size if area.size <= left else 0
    return _Plan(definition, revision, areas, waiting, max(kept, 0))


def _allowed(connection: sa.Connection, extra: float) -> int:
    """Bytes that new files may take, beside the replaced ones that still lie there."""
    stored = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(batch_files.c.size), 0))).scalar_one()
    lying = 0
    for place, path in connection.execute(sa.select(removed_files.c.place, removed_files.c.path)):
        with suppress(ObjectMissingError):
            lying += open_place(resolved(connection, place)).size(path)
    return max(int(stored * extra), _LEAST_DISK) - lying
