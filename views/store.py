"""The view store: one database, and the parts that write it and say what is served of it."""

from __future__ import annotations

from tandem.views.batch.chains import Chains
from tandem.views.batch.runs import BatchRuns
from tandem.views.dead_letters.writing import DeadLetters
from tandem.views.definitions import Definitions
from tandem.views.live.conservation import Residues
from tandem.views.live.evicted_tiles import EvictedTiles
from tandem.views.live.runs import LiveRuns
from tandem.views.outbox import tables as _outbox  # noqa: F401  (its tables are made with the others)
from tandem.views.publishing.publications import Publishing
from tandem.views.storage.database import Clock, Database, wall_clock

__all__ = ["ViewStore"]


class ViewStore:
    """A view store in one SQL database. Safe to use from several threads; open one per process.

    What is asked of it is asked of its parts: `store.batch.write(...)`, `store.publishing.served(name)`. Answers are
    functions over a store: see `tandem.views.answers`.
    """

    definitions: Definitions
    live: LiveRuns
    evicted_tiles: EvictedTiles
    batch: BatchRuns
    dead_letters: DeadLetters
    publishing: Publishing
    residues: Residues

    def __init__(self, url: str, *, clock: Clock = wall_clock, create: bool = True) -> None:
        """Open `sqlite:///PATH`, a plain path, or `postgresql://...`; an empty one is made where `create`
        allows it.

        Raises StoreError for a missing file, another program's or a damaged database, or another schema
        version.
        """
        self.database = database = Database(url, create=create)
        self.chains = chains = Chains()
        self.definitions = Definitions(database, clock)
        self.live = LiveRuns(database, clock)
        self.evicted_tiles = EvictedTiles(database)
        self.batch = BatchRuns(database, chains, clock)
        self.dead_letters = DeadLetters(database, chains, clock)
        self.publishing = Publishing(database, chains, clock)
        self.residues = Residues(database, chains)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
