"""The view store: one database, and the parts that write it and serve publications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, cast

# The tables of all parts are made, and their changes sealed, whichever of them a process uses.
from tandem.views import bucket_loads as _bucket_loads  # noqa: F401
from tandem.views.batch.chains import Chains
from tandem.views.dead_letters import tables as _dead_letters  # noqa: F401
from tandem.views.decisions import tables as _decisions  # noqa: F401
from tandem.views.layers import tables as _layers  # noqa: F401
from tandem.views.layers.compaction import tables as _compaction  # noqa: F401
from tandem.views.outbox import tables as _outbox  # noqa: F401
from tandem.views.reconcile import tables as _reconcile  # noqa: F401
from tandem.views.results import tables as _results  # noqa: F401
from tandem.views.storage.database import Clock, Database, wall_clock
from tandem.views.storage.pinned import PinnedDatabase

if TYPE_CHECKING:
    from tandem.views.answers.kept import Kept
    from tandem.views.batch.runs import BatchRuns
    from tandem.views.bucket_loads import BucketLoads
    from tandem.views.dead_letters.writing import DeadLetters
    from tandem.views.definitions import Definitions
    from tandem.views.live.conservation import Residues
    from tandem.views.live.evicted_tiles import EvictedTiles
    from tandem.views.live.runs import LiveRuns
    from tandem.views.publishing.publications import Publishing

__all__ = ["ViewStore"]


class ViewStore:
    """A view store in one SQL database. Safe to use from several threads; open one per process.

    Its parts have the methods: `store.batch.write(...)`, `store.publishing.served(name)`. They are imported at their
    first use: a question needs few of them. Answers are functions over a store: see `tandem.views.answers`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as home:
    ...     store = ViewStore(f"sqlite:///{home}/views.db")
    ...     print(store.publishing.served("clicks"))
    ...     store.close()
    None
    """

    kept: Kept | None = None
    """For processes that answer many questions. None: everything is read, and merged, for each of them."""

    def __init__(self, url: str, *, clock: Clock = wall_clock, create: bool = True) -> None:
        """Open `sqlite:///PATH`, a plain path, or `postgresql://...`.

        Creates an empty store where there is none and `create` allows it. Raises StoreError for a missing file, another
        program's or a damaged database, or another schema version.
        """
        self._assemble(Database(url, create=create), Chains(), clock)

    def _assemble(self, database: Database, chains: Chains, clock: Clock) -> None:
        self.database, self.chains, self._clock = database, chains, clock

    @cached_property
    def definitions(self) -> Definitions:
        """The definition versions."""
        from tandem.views.definitions import Definitions

        return Definitions(self.database, self._clock)

    @cached_property
    def live(self) -> LiveRuns:
        """The live runs."""
        from tandem.views.live.runs import LiveRuns

        return LiveRuns(self.database, self._clock)

    @cached_property
    def evicted_tiles(self) -> EvictedTiles:
        """The tiles that live runs have evicted."""
        from tandem.views.live.evicted_tiles import EvictedTiles

        return EvictedTiles(self.database)

    @cached_property
    def batch(self) -> BatchRuns:
        """The batch runs."""
        from tandem.views.batch.runs import BatchRuns

        return BatchRuns(self.database, self.chains, self._clock)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The dead letters."""
        from tandem.views.dead_letters.writing import DeadLetters

        return DeadLetters(self.database, self.chains, self._clock)

    @cached_property
    def publishing(self) -> Publishing:
        """The publications of names."""
        from tandem.views.publishing.publications import Publishing

        return Publishing(self.database, self.chains, self._clock)

    @cached_property
    def residues(self) -> Residues:
        """The residues of runs."""
        from tandem.views.live.conservation import Residues

        return Residues(self.database, self.chains)

    @cached_property
    def bucket_loads(self) -> BucketLoads:
        """The loads of buckets."""
        from tandem.views.bucket_loads import BucketLoads

        return BucketLoads(self.database)

    @contextmanager
    def at_one_instant(self) -> Iterator[ViewStore]:
        """The store at this instant: all calls in the context read in one transaction.

        It can't be written, and is invalid afterwards. Only for one thread at a time.
        """
        with self.database.read() as connection:
            pinned = ViewStore.__new__(ViewStore)
            pinned._assemble(cast(Database, PinnedDatabase(self.database, connection)), self.chains, self._clock)
            yield pinned

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
