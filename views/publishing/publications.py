"""The publications of a name: moves its pointer, lists them, and prunes rows that none needs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.failpoints import reached
from tandem.views import lookups
from tandem.views.batch.chains import Chains
from tandem.views.batch.dropping import drop_version
from tandem.views.layers.removing import GRACE
from tandem.views.publishing import pointer
from tandem.views.publishing.pruning import Pruned, prune
from tandem.views.rows import Candidate, Publication, PublicationKind
from tandem.views.storage.database import Clock, Database

__all__ = ["Publishing"]

_LOG: Final = logging.getLogger(__name__)

_Choose = Callable[[sa.Connection, "sa.Row[Any] | None"], Candidate]
"""(within the transaction, the row of the served publication) -> the candidate to serve instead."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """The publications of a view store.

    Every move of the pointer is one transaction, and is on disk when it returns.
    """

    database: Database
    chains: Chains
    clock: Clock

    def publish(
        self,
        name: str,
        version: str,
        batch_run: str,
        live_run: str | None = None,
        *,
        expected: int | None = None,
        note: str = "",
        accept_missing_files: bool = False,
        accept_dead_letters: bool = False,
    ) -> Publication:
        """Serve a batch run and a live run together, in one step.

        `expected`: number of the publication that the publisher saw, 0 for none; None: any. Raises PublishRefusedError
        if another publisher was faster, or if events would be lost, counted twice or left out; `accept_missing_files`
        lets another version leave out files that the served one has read, `accept_dead_letters` messages that it can't
        read.
        """

        def choose(connection: sa.Connection, served: sa.Row[Any] | None) -> Candidate:
            place = (connection, name, version, batch_run, live_run)
            wanted = pointer.candidate(*place, PublicationKind.PUBLISH, note)
            if served is None or served.definition == wanted.definition.id:
                return wanted
            return pointer.candidate(
                *place,
                PublicationKind.PROMOTE,
                note,
                accept_missing_files=accept_missing_files,
                accept_dead_letters=accept_dead_letters,
            )

        return self._move(name, choose, expected)

    def promote(
        self,
        name: str,
        version: str,
        batch_run: str | None,
        live_run: str | None,
        *,
        note: str = "",
        accept_missing_files: bool = False,
        accept_dead_letters: bool = False,
    ) -> Publication:
        """Serve another version's newest runs in one step; the old version stays, to roll back to.

        Raises BehindError while its live run lacks events that are served, PublishRefusedError if it is served already,
        or would give up generations, files (unless `accept_missing_files`), or messages that it can't read (unless
        `accept_dead_letters`).
        """

        def choose(connection: sa.Connection, served: sa.Row[Any] | None) -> Candidate:
            wanted = pointer.candidate(
                connection,
                name,
                version,
                batch_run,
                live_run,
                PublicationKind.PROMOTE,
                note,
                accept_missing_files=accept_missing_files,
                accept_dead_letters=accept_dead_letters,
            )
            if served is not None and served.definition == wanted.definition.id:
                raise PublishRefusedError(f"{name}: version {version} is served already")
            return wanted

        return self._move(name, choose)

    def serve_live(
        self, name: str, version: str, live_run: str, *, expected: int | None = None, note: str = ""
    ) -> Publication:
        """Serve another live run over the served batch run (or over none yet). Raises PublishRefusedError."""

        def choose(connection: sa.Connection, served: sa.Row[Any] | None) -> Candidate:
            base = served.batch_run if served is not None else None
            return pointer.candidate(connection, name, version, base, live_run, PublicationKind.SERVE, note)

        return self._move(name, choose, expected)

    def roll_back(
        self,
        name: str,
        to_publication: int,
        *,
        live_run: str | None = None,
        note: str = "",
        accept_late: bool = False,
    ) -> Publication:
        """Serve the batch run of an older publication again, with `live_run` or else the served one.

        For another definition version with its newest live run, which may have begun since. Raises PublishRefusedError,
        with a remedy, where coverage would fall: live lacks a generation in between, or its late events. With
        `accept_late` these are pending again, and their answers PARTIAL.
        """

        def choose(connection: sa.Connection, served: sa.Row[Any] | None) -> Candidate:
            found = lookups.publication_values(connection, name, ordinal=to_publication)
            if served is None or not found:
                raise PublishRefusedError(f"{name}: there is no publication {to_publication} to roll back to")
            target = found[0]
            chosen: str | int | None = live_run
            if chosen is None:
                definition = lookups.definition_row(connection, target.version).id
                newest = lookups.newest_live_run(connection, definition, target.boundary)
                chosen = served.live_run if definition == served.definition else newest or target.live_run
            kind = PublicationKind.ROLLBACK
            return pointer.candidate(
                connection, name, target.version, target.batch_run, chosen, kind, note, accept_late
            )

        return self._move(name, choose)

    def _move(self, name: str, choose: _Choose, expected: int | None = None) -> Publication:
        with self.database.write(durable=True) as connection:
            pointer.lock_pointer(self.database, connection, name)
            wanted = choose(connection, pointer.current(connection, name))
            pointer.check(connection, self.chains, wanted)
            ordinal = pointer.move(connection, wanted, expected, self.clock())
        reached("after-publish")
        made = self.publications(name, ordinal)[0]
        place = {"definition": name, "run": made.live_run, "batch_run": made.batch_run, "generation": made.boundary}
        _LOG.info("publication %d (%s)", made.ordinal, made.kind, extra=place)
        return made

    def served(self, name: str) -> Publication | None:
        """The served publication of a name; None before the first."""
        with self.database.read() as connection:
            return next(iter(lookups.publication_values(connection, name, served=True)), None)

    def publications(self, name: str, ordinal: int | None = None) -> list[Publication]:
        """All publications of a name, newest first, or the one of that number."""
        with self.database.read() as connection:
            return lookups.publication_values(connection, name, ordinal=ordinal)

    def prune(self, name: str, keep: int = 2, grace: int = GRACE) -> Pruned:
        """Remove rows that the newest publications, with `keep` different batch runs, don't need.

        Files of batch runs go once they have been unnamed for `grace` microseconds.
        """
        return prune(self.database, self.chains, name, keep, self.clock(), grace)

    def drop(self, version: str, grace: int = GRACE) -> Pruned:
        """Remove all runs of a version that no name serves. Raises PublishRefusedError for a served one."""
        return drop_version(self.database, version, self.clock(), grace)
