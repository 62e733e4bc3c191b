"""The view store: what runs wrote, what is served of it, and moving from one to the next."""

from __future__ import annotations

from collections.abc import Callable

from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.failpoints import reached
from tandem.views import lookups
from tandem.views.batch.dropping import drop_version
from tandem.views.live.conservation import batch_residues, live_residues, row_residues
from tandem.views.publishing import pointer as publishing
from tandem.views.publishing.pruning import Pruned, prune
from tandem.views.rows import (
    Publication,
    PublicationKind,
)
from tandem.views.run_store import RunStore

__all__ = ["ViewStore"]


class ViewStore(RunStore):
    """A view store in one SQL database. Safe to use from several threads; open one per process.

    Writing is described with `RunStore`. Every move of the pointer is one transaction, and is on disk when it
    returns.
    """

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
        _tear: Callable[[], None] | None = None,
    ) -> Publication:
        """Serve a batch run and a live run together, in one step.

        `expected`: number of the publication that the publisher saw, 0 for none; None: any. Raises
        PublishRefusedError if another publisher was faster, or if it would lose, repeat or leave out
        anything; `accept_missing_files` lets another version leave out files that the served one has read,
        `accept_dead_letters` messages that it can't read.
        `_tear` is for the one test that breaks the pointer on purpose: it is called while only half of it has
        moved.
        """
        with self.database.write(durable=True) as connection:
            publishing.lock_pointer(self.database, connection, name)
            served = publishing.current(connection, name)
            wanted = publishing.candidate(connection, name, version, batch_run, live_run, PublicationKind.PUBLISH, note)
            if served is not None and served.definition != wanted.definition.id:
                wanted = publishing.candidate(
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
            publishing.check(connection, self.chains, wanted)
            ordinal = publishing.move(connection, wanted, expected, self._clock())
            if _tear is not None:
                publishing.set_batch_run(connection, ordinal, served.batch_run if served is not None else None)
        reached("after-publish")
        if _tear is not None and wanted.batch_run is not None:
            _tear()
            with self.database.write(durable=True) as connection:
                publishing.set_batch_run(connection, ordinal, wanted.batch_run.ordinal)
        return self.publications(name, ordinal)[0]

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
        """Serve another version in one step, with what was built of it; the old one stays, to roll back to.

        Raises BehindError while its live run doesn't have all that is served, PublishRefusedError if it is served
        already, or would give up generations, files (unless `accept_missing_files`), or messages that it can't read
        (unless `accept_dead_letters`).
        """
        with self.database.write(durable=True) as connection:
            publishing.lock_pointer(self.database, connection, name)
            served = publishing.current(connection, name)
            wanted = publishing.candidate(
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
            publishing.check(connection, self.chains, wanted)
            ordinal = publishing.move(connection, wanted, None, self._clock())
        reached("after-publish")
        return self.publications(name, ordinal)[0]

    def drop(self, version: str) -> Pruned:
        """Remove all runs of a version that no name serves. Raises PublishRefusedError for one that is served."""
        return drop_version(self.database, version)

    def serve_live(
        self, name: str, version: str, live_run: str, *, expected: int | None = None, note: str = ""
    ) -> Publication:
        """Serve another live run over the batch run that is served (or over none yet). Raises
        PublishRefusedError.
        """
        with self.database.write(durable=True) as connection:
            publishing.lock_pointer(self.database, connection, name)
            served = publishing.current(connection, name)
            base = served.batch_run if served is not None else None
            wanted = publishing.candidate(connection, name, version, base, live_run, PublicationKind.SERVE, note)
            publishing.check(connection, self.chains, wanted)
            ordinal = publishing.move(connection, wanted, expected, self._clock())
        reached("after-publish")
        return self.publications(name, ordinal)[0]

    def roll_back(
        self,
        name: str,
        to_publication: int,
        *,
        live_run: str | None = None,
        note: str = "",
        accept_late: bool = False,
    ) -> Publication:
        """Serve the batch run of an older publication again, with `live_run` or else the one that is served.

        For another definition version its newest live run, which may have begun since. Raises
        PublishRefusedError, with what to do instead, where coverage would fall: live doesn't hold every
        generation in between, or holds it without its late events. With `accept_late` these are pending again,
        and their answers PARTIAL.
        """
        with self.database.write(durable=True) as connection:
            publishing.lock_pointer(self.database, connection, name)
            served = publishing.current(connection, name)
            found = lookups.publication_values(connection, name, ordinal=to_publication)
            if served is None or not found:
                raise PublishRefusedError(f"{name}: there is no publication {to_publication} to roll back to")
            target = found[0]
            chosen: str | int | None = live_run
            if chosen is None:
                definition = lookups.definition_row(connection, target.version).id
                newest = lookups.newest_live_run(connection, definition, target.boundary)
                chosen = served.live_run if definition == served.definition else newest or target.live_run
            wanted = publishing.candidate(
                connection, name, target.version, target.batch_run, chosen, PublicationKind.ROLLBACK, note, accept_late
            )
            publishing.check(connection, self.chains, wanted)
            ordinal = publishing.move(connection, wanted, served.ordinal, self._clock())
        reached("after-publish")
        return self.publications(name, ordinal)[0]

    def prune(self, name: str, keep: int = 2) -> Pruned:
        """Remove what the newest publications, with `keep` different batch runs, don't need."""
        return prune(self.database, self.chains, name, keep)

    def served(self, name: str) -> Publication | None:
        """What is served under a name; None for nothing yet."""
        with self.database.read() as connection:
            return next(iter(lookups.publication_values(connection, name, served=True)), None)

    def publications(self, name: str, ordinal: int | None = None) -> list[Publication]:
        """All publications of a name, newest first, or the one of that number."""
        with self.database.read() as connection:
            return lookups.publication_values(connection, name, ordinal=ordinal)

    def was_published(self, name: str, batch_run: str) -> bool:
        """Whether any publication of a name had this batch run; cheaper than reading them all."""
        with self.database.read() as connection:
            return lookups.was_published(connection, name, batch_run)

    # Conservation

    def residues(self, version: str, run: str) -> dict[int, int]:
        """Per generation of a live run: received - (counted + filtered + duplicates + late + dead)."""
        with self.database.read() as connection:
            return live_residues(connection, lookups.find_live_run(connection, version, run).id)

    def batch_residues(self, batch_run: str) -> dict[int, int]:
        """Per generation of a batch run with its ancestors: received - (counted + filtered + duplicates +
        dead).
        """
        with self.database.read() as connection:
            row = lookups.find_batch_run(connection, batch_run)
            return batch_residues(connection, self.chains.of(connection, row.ordinal))

    def row_residues(self, version: str, run: str) -> dict[int, int]:
        """Per generation of a live run: counted by the tallies less events in the rows; reads all rows."""
        with self.database.read() as connection:
            return row_residues(connection, lookups.find_live_run(connection, version, run).id)
