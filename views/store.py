"""The view store: one database, and the parts that write it and serve publications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from tandem.views.batch.chains import Chains
from tandem.views.batch.runs import BatchRuns
from tandem.views.bucket_loads import BucketLoads
from tandem.views.dead_letters.writing import DeadLetters
from tandem.views.decisions import tables as _decisions  # noqa: F401  (as those of the outbox)
from tandem.views.definitions import Definitions
from tandem.views.live.conservation import Residues
from tandem.views.live.evicted_tiles import EvictedTiles
from tandem.views.live.runs import LiveRuns
from tandem.views.outbox import tables as _outbox  # noqa: F401  (its tables are made with the others)
from tandem.views.publishing.publications import Publishing
from tandem.views.storage.database import Clock, Database, wall_clock
from tandem.views.storage.pinned import PinnedDatabase

__all__ = ["ViewStore"]


class ViewStore:
    """A view store in one SQL database. Safe to use from several threads; open one per process.

    Its parts have the methods: `store.batch.write(...)`, `store.publishing.served(name)`. Answers are functions over a
    store: see `tandem.views.answers`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as home:
    ...     store = ViewStore(f"sqlite:///{home}/views.db")
    ...     print(store.publishing.served("clicks"))
    ...     store.close()
    None
    """

    definitions: Definitions
    live: LiveRuns
    evicted_tiles: EvictedTiles
    batch: BatchRuns
    dead_letters: DeadLetters
    publishing: Publishing
    residues: Residues
    bucket_loads: BucketLoads

    def __init__(self, url: str, *, clock: Clock = wall_clock, create: bool = True) -> None:
        """Open `sqlite:///PATH`, a plain path, or `postgresql://...`.

        Creates an empty store where there is none and `create` allows it. Raises StoreError for a missing file, another
        program's or a damaged database, or another schema version.
        """
        self._assemble(Database(url, create=create), Chains(), clock)

    def _assemble(self, database: Database, chains: Chains, clock: Clock) -> None:
        self.database, self.chains = database, chains
        self.definitions = Definitions(database, clock)
        self.live = LiveRuns(database, clock)
        self.evicted_tiles = EvictedTiles(database)
        self.batch = BatchRuns(database, chains, clock)
        self.dead_letters = DeadLetters(database, chains, clock)
        self.publishing = Publishing(database, chains, clock)
        self.residues = Residues(database, chains)
        self.bucket_loads = BucketLoads(database)

    @contextmanager
    def at_one_instant(self) -> Iterator[ViewStore]:
        """The store at this instant: all calls in the context read in one transaction.

        It can't be written, and is invalid afterwards. Only for one thread at a time.
        """
        with self.database.read() as connection:
            pinned = ViewStore.__new__(ViewStore)
            pinned._assemble(
                cast(Database, PinnedDatabase(self.database, connection)), self.chains, self.publishing.clock
            )
            yield pinned

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
