"""Provenance of a key's numbers: the batch run or live generation that wrote each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.views.answers.reading.rows import late_by_tile
from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.batch.chains import Chain
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import once_more
from tandem.views.layers.rows import key_rows
from tandem.views.reconcile.tables import reconciliations
from tandem.views.rows import Compiled
from tandem.views.storage.row_order import read_range
from tandem.views.storage.tables import batch_runs, batch_states, live_states
from tandem.views.store import ViewStore

__all__ = ["Layer", "Part", "Provenance", "provenance"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A batch run with rows in an answer."""

    id: str
    boundary: int
    created_at: int
    """Wall clock, microseconds UTC."""
    receipt: int | None
    """The number of the reconcile run that made this batch run as a repair; None for other batch runs."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stored row: of a tile, by a batch run or in a live generation."""

    tile: int
    layer: str | None
    """The batch run's id; None for live."""
    generation: int
    """The live generation; 0 for batch, whose row covers all its generations."""
    events: int
    states: bytes


@dataclass(frozen=True, slots=True)
class Provenance:
    """All rows of a key in a span of tiles, of one instant."""

    scope: Scope
    parts: tuple[Part, ...]
    """Sorted by tile, batch first."""
    layers: tuple[Layer, ...]
    """The batch runs of the parts, newest first."""
    late: dict[int, int]
    """By tile the late events of all keys that batch doesn't cover yet."""


@once_more
def provenance(store: ViewStore, compiled: Compiled, key: str, start: int, end: int) -> Provenance:
    """The provenance of the answer of a key (canonical) over [start, end). Raises StoreError if another version is
    served.
    """
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        parts = sorted(_parts(connection, scope, key, start, end), key=lambda part: (part[0], part[2], part[1]))
        layers = {row.ordinal: row for row in _runs(connection, {part[1] for part in parts if part[1]})}
        late = late_by_tile(connection, scope, start, end)
    ids = {ordinal: str(row.id) for ordinal, row in layers.items()}
    listed = [
        Layer(str(row.id), row.boundary, row.created_at, row.receipt) for _, row in sorted(layers.items(), reverse=True)
    ]
    named = (Part(tile, ids.get(run), generation, events, states) for tile, run, generation, events, states in parts)
    return Provenance(scope, tuple(named), tuple(listed), late)


def _parts(
    connection: sa.Connection, scope: Scope, key: str, start: int, end: int
) -> Iterator[tuple[int, int, int, int, bytes]]:
    """(tile, batch run's ordinal or 0, generation or 0, events, states)."""
    if scope.batch_ordinal is not None:
        found = read_range(connection, batch_states, (scope.definition, key, start), (scope.definition, key, end))
        files = layer_files(connection, scope.definition, scope.chain, (start, end), key)
        for row in _newest(key_rows(found, files, key, start, end), scope.chain):
            if row[4]:
                yield row[2], row[3], 0, row[4], row[5]
    if scope.live_id is not None:
        found = read_range(connection, live_states, (scope.live_id, key, start), (scope.live_id, key, end))
        for row in found:
            if row[3] > scope.boundary and row[4]:
                yield row[2], 0, row[3], row[4], row[5]


def _newest(rows: Iterable[Any], chain: Chain) -> Iterator[Any]:
    """The row of the newest run in the chain for each tile."""
    newest: dict[int, Any] = {}
    for row in rows:
        if row[3] in chain and (row[2] not in newest or row[3] > newest[row[2]][3]):
            newest[row[2]] = row
    return iter(newest.values())


def _runs(connection: sa.Connection, ordinals: set[int]) -> Sequence[sa.Row[Any, Any, Any, Any, Any]]:
    columns, r = batch_runs.c, reconciliations.c
    query = sa.select(columns.ordinal, columns.id, columns.boundary, columns.created_at, r.ordinal.label("receipt"))
    query = query.outerjoin(reconciliations, r.repair == columns.id)
    return connection.execute(query.where(columns.ordinal.in_(ordinals))).all()
