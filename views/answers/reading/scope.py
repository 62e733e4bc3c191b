"""The scope of a name: its served publication and live's totals, read from the pointer in one query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.batch.chains import Chain, Chains
from tandem.views.dead_letters.tables import dead_letters
from tandem.views.rows import Compiled
from tandem.views.storage.checksums import DamagedRowError
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import (
    batch_runs,
    definitions,
    live_runs,
    live_shards,
    live_totals,
    pointers,
    publications,
)

__all__ = ["Scope", "batch_alone", "read_scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The served publication, and the facts that hold for all its answers."""

    name: str
    version: str
    publication: int
    definition: int
    boundary: int
    batch_ordinal: int | None
    batch_run: str | None
    chain: Chain
    live_id: int | None
    live_run: str | None
    watermark: int | None
    conflicts: int = 0
    residue: int = 0
    in_flight: int = 0
    late: int = 0
    """Late events of all tiles that batch doesn't cover yet."""
    dead_letters: int = 0
    complete_to: int | None = None
    """The time up to which the sources of batch are declared complete: the journal up to the boundary, or else the
    files."""
    missing: tuple[str, ...] = ()
    """Inputs that batch lacks although its boundary covers them."""


# Statements are built once: building them for each answer would take longer than the database does.
_WATERMARK: Final = (
    sa.select(sa.func.max(live_shards.c.watermark)).where(live_shards.c.run == live_runs.c.id).scalar_subquery()
)


def _published_query() -> sa.Select[Any]:
    p = publications.c
    return (
        sa.select(
            publications,
            definitions.c.version,
            batch_runs.c.id.label("batch"),
            batch_runs.c.conflicts,
            batch_runs.c.residue,
            batch_runs.c.files_until,
            batch_runs.c.journal_until,
            sa.cast(batch_runs.c.missing, sa.Text()).label("missing"),
            batch_runs.c.status.label("batch_status"),
            live_runs.c.run,
            _WATERMARK.label("watermark"),
            live_runs.c.status.label("live_status"),
            live_runs.c.pruned_to,
        )
        .join(definitions, definitions.c.id == p.definition)
        .outerjoin(batch_runs, batch_runs.c.ordinal == p.batch_run)
        .outerjoin(live_runs, live_runs.c.id == p.live_run)
    )


_SERVED: Final = (
    _published_query()
    .join(pointers, pointers.c.publication == publications.c.ordinal)
    .where(pointers.c.name == sa.bindparam("name"))
)


_PUBLISHED: Final = _published_query().where(
    publications.c.name == sa.bindparam("name"), publications.c.ordinal == sa.bindparam("ordinal")
)


_SERVED_COLUMNS: Final = _SERVED.selected_columns.keys()


_T: Final = live_totals.c


_BY_GENERATION: Final = (
    sa.select(
        sa.func.abs(sa.func.sum(_T.received - (_T.counted + _T.filtered + _T.duplicates + _T.late + _T.dead))).label(
            "r"
        ),
        sa.func.sum(_T.late).label("late"),
        sa.func.sum(_T.conflicts).label("conflicts"),
    )
    .where(_T.run == sa.bindparam("live_run"), _T.generation > sa.bindparam("boundary"))
    .group_by(_T.generation)
    .subquery()
)


_LETTERS: Final = sa.select(sa.func.coalesce(sa.func.sum(dead_letters.c.count), 0)).where(
    dead_letters.c.definition == sa.bindparam("of_definition"), dead_letters.c.status == "open"
)


_TOTALS: Final = sa.select(
    *(sa.func.coalesce(sa.func.sum(amount), 0) for amount in _BY_GENERATION.c), _LETTERS.scalar_subquery()
)
"""Events in flight, late and in conflict, summed over the live generations after the boundary; open dead letters."""


def read_scope(connection: sa.Connection, chains: Chains, compiled: Compiled, publication: int | None = None) -> Scope:
    """The scope that is served under the definition's name, or was by the publication of a number.

    Raises StoreError if that is another version than `compiled`, or the publication's rows were pruned.
    """
    name = compiled.definition.name
    row = _publication(connection, compiled, publication)
    if row is None:
        return Scope(name, "", 0, 0, 0, None, None, frozenset(), None, None, None)
    which = {"live_run": row.live_run, "boundary": row.boundary, "of_definition": row.definition}
    in_flight, late, conflicts, letters = select_rows(connection, _TOTALS, which)[0]
    return Scope(
        name=name,
        version=row.version,
        publication=row.ordinal,
        definition=row.definition,
        boundary=row.boundary,
        batch_ordinal=row.batch_run,
        batch_run=row.batch,
        chain=chains.of(connection, row.batch_run),
        live_id=row.live_run,
        live_run=row.run,
        watermark=row.watermark,
        conflicts=int((row.conflicts or 0) + conflicts),
        residue=row.residue or 0,
        in_flight=int(in_flight),
        late=int(late),
        dead_letters=int(letters),
        complete_to=row.journal_until if row.boundary else row.files_until,
        missing=tuple(json.loads(row.missing)) if row.missing else (),
    )


def _publication(connection: sa.Connection, compiled: Compiled, publication: int | None) -> Any:
    """The publication's row, joined with its runs; None before the first publication. Raises StoreError as
    `read_scope`.
    """
    name = compiled.definition.name
    if publication is None:
        found = select_rows(connection, _SERVED, {"name": name})
    else:
        found = select_rows(connection, _PUBLISHED, {"name": name, "ordinal": publication})
        _check_kept(found, name, publication)
    if not found:
        _check_never_served(connection, name)
        return None
    row = SimpleNamespace(**dict(zip(_SERVED_COLUMNS, found[0], strict=True)))
    if row.version != compiled.version:
        raise StoreError(f"{name}: version {row.version} is served, this was asked with version {compiled.version}")
    return row


def batch_alone(scope: Scope) -> Scope:
    """The same scope without live, and without counts that change after a publication."""
    return replace(scope, live_id=None, live_run=None, watermark=None, in_flight=0, late=0, conflicts=0, dead_letters=0)


def _check_kept(found: Sequence[Any], name: str, publication: int) -> None:
    if not found:
        raise StoreError(f"{name} has no publication {publication}")
    row = SimpleNamespace(**dict(zip(_SERVED_COLUMNS, found[0], strict=True)))
    kept = row.batch_run is None or row.batch_status == "COMPLETE"
    if not kept or (row.live_run is not None and (row.live_status == "DROPPED" or row.pruned_to > row.boundary)):
        raise StoreError(f"publication {publication} of {name} isn't kept any more: what it served was pruned")


def _check_never_served(connection: sa.Connection, name: str) -> None:
    if connection.execute(sa.select(publications.c.ordinal).where(publications.c.name == name).limit(1)).first():
        raise DamagedRowError(f"the pointer of {name} is damaged: there are publications, and none is served")
