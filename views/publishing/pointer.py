"""Moves the pointer of a name, under the rules that every publication must keep.

A pointer moves in one transaction, and only to a candidate that holds every event that is served now, counts none
twice, and leaves none out. Each check below refuses with the reason.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.failpoints import reached
from tandem.views.batch.chains import Chains
from tandem.views.dead_letters.open_letters import refresh
from tandem.views.dead_letters.unread import nothing_unread
from tandem.views.live.run_locks import RUNS, lock_run
from tandem.views.publishing.coverage import Coverage
from tandem.views.publishing.overlap import Copies
from tandem.views.results.due.marking import mark_moved
from tandem.views.rows import Candidate, PublicationKind
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_runs, definitions, live_runs, pointers, publications

__all__ = ["candidate", "check", "current", "lock_pointer", "move"]


def lock_pointer(database: Database, connection: sa.Connection, name: str) -> None:
    """Lock the pointer until the end of the transaction: publishers of one name take turns."""
    insert = database.insert(pointers).on_conflict_do_nothing()
    connection.execute(insert, {"name": name, "publication": None})
    connection.execute(sa.select(pointers).where(pointers.c.name == name).with_for_update()).all()


def current(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """The publication that is served under a name."""
    query = sa.select(publications).join(pointers, pointers.c.publication == publications.c.ordinal)
    return connection.execute(query.where(pointers.c.name == name)).first()


def candidate(
    connection: sa.Connection,
    name: str,
    version: str,
    batch_run: str | int | None,
    live_run: str | int | None,
    kind: PublicationKind,
    note: str = "",
    accept_late: bool = False,
    accept_missing_files: bool = False,
    accept_dead_letters: bool = False,
) -> Candidate:
    """The candidate's rows, by ids or by the store's numbers, with its live run locked against writers."""
    definition = connection.execute(sa.select(definitions).where(definitions.c.version == version)).first()
    if definition is None:
        raise PublishRefusedError(f"{name}: definition version {version!r} isn't registered in this store")
    batch = live = None
    if batch_run is not None:
        column = batch_runs.c.ordinal if isinstance(batch_run, int) else batch_runs.c.id
        batch = connection.execute(sa.select(batch_runs).where(column == batch_run)).first()
        if batch is None or batch.definition != definition.id:
            raise PublishRefusedError(f"{name}: batch run {batch_run!r} isn't one of version {version!r}")
    if live_run is not None:
        column = live_runs.c.id if isinstance(live_run, int) else live_runs.c.run
        query = RUNS.where(column == live_run, live_runs.c.definition == definition.id)
        found = connection.execute(query).first()
        if found is None:
            raise PublishRefusedError(f"{name}: live run {live_run!r} isn't one of version {version!r}")
        lock_run(connection, found.id, exclusive=True)
        live = connection.execute(query).one()
    accepted = (accept_late, accept_missing_files, accept_dead_letters)
    return Candidate(name, definition, batch, live, kind, note, *accepted)


def check(connection: sa.Connection, chains: Chains, wanted: Candidate) -> None:
    """Raise PublishRefusedError unless serving the candidate keeps every guarantee."""
    served = current(connection, wanted.name)
    whole = Coverage(connection, chains, wanted.name)
    copies = Copies(connection, chains, wanted.name)
    if wanted.batch_run is not None:
        whole.batch_is_whole(wanted.batch_run)
    whole.nothing_given_up(served, wanted)
    if wanted.live_run is not None:
        whole.live_is_one_attempt(wanted.live_run)
        whole.live_stands_on_it(wanted.batch_run, wanted.live_run)
        whole.live_has_everything(wanted.batch_run, wanted.live_run)
        whole.live_has_caught_up(wanted.live_run)
        copies.nothing_counted_twice(wanted.batch_run, wanted.live_run)
        copies.nothing_counted_before(wanted.batch_run, wanted.live_run)
        copies.no_overlapping_files(wanted.batch_run, wanted.live_run, wanted.definition)
    copies.nothing_left_out(wanted.batch_run, wanted.live_run)
    if wanted.kind is PublicationKind.PROMOTE and served is not None and not wanted.accept_dead_letters:
        nothing_unread(connection, chains, wanted.name, served, wanted)


def move(connection: sa.Connection, wanted: Candidate, expected: int | None, now: int) -> int:
    """Write the publication and move the pointer to it, if it hasn't moved since the publisher read it.

    `expected`: the publication's number, 0 for none yet, None for any. Returns the new number.
    """
    served = current(connection, wanted.name)
    found = served.ordinal if served is not None else 0
    if expected is not None and expected != found:
        raise PublishRefusedError(
            f"{wanted.name}: another publisher was faster: publication {found} is served, expected {expected}"
        )
    insert = publications.insert().values(
        name=wanted.name,
        definition=wanted.definition.id,
        boundary=wanted.boundary,
        batch_run=wanted.batch_run.ordinal if wanted.batch_run is not None else None,
        live_run=wanted.live_run.id if wanted.live_run is not None else None,
        kind=wanted.kind.value,
        note=wanted.note,
        published_at=now,
    )
    key = connection.execute(insert).inserted_primary_key
    ordinal = int(key[0]) if key is not None else 0
    reached("before-pointer")
    connection.execute(pointers.update().where(pointers.c.name == wanted.name).values(publication=ordinal))
    reached("after-pointer")
    mark_moved(connection, served, wanted)
    if wanted.live_run is not None:
        connection.execute(live_runs.update().where(live_runs.c.id == wanted.live_run.id).values(caught_up=True))
    refresh(connection, wanted.definition.id)
    return ordinal
