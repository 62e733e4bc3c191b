"""The load of each of the 256 buckets, agreed on by a run's workers at the first batch of events.

Workers spread shards over each other by their loads, and all have to use the same loads for as long as the run lasts.
So the loads of the first batch of events are written once, and every worker reads those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.buckets import BUCKETS
from tandem.views.lookups import definition_row
from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, crc, part
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_runs, live_runs

__all__ = ["BucketLoads", "bucket_loads", "forget_loads", "open_loads"]

bucket_loads = sa.Table(
    "bucket_loads",
    METADATA,
    part("definition"),
    part("run", sa.Text()),
    sa.Column("loads", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""By live or batch run; empty until its workers have agreed. Runs older than this table have no row."""

_L: Final = bucket_loads.c
_KIND: Final[np.dtype[np.uint32]] = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class BucketLoads:
    """The bucket loads of a view store."""

    database: Database

    def agreed(self, version: str, run: str, seen: Sequence[int]) -> tuple[int, ...] | None:
        """The loads that all workers use: `seen`, events by bucket, unless another worker wrote first; None for a run
        without a row.

        May be repeated. Raises StoreError for an unknown version.
        """
        with self.database.read() as connection:
            definition = definition_row(connection, version).id
            found: bytes | None = connection.execute(_found(definition, run)).scalar()
        if found is not None and not len(found):
            with self.database.write() as connection:
                found = connection.execute(_found(definition, run).with_for_update()).scalar()
                if found is not None and not len(found):
                    found = np.asarray(seen, dtype=_KIND).tobytes()
                    row = (definition, run, found)
                    self.database.write_rows(connection, self.database.replace(bucket_loads), [row])
        if found is None:
            return None
        loads = np.frombuffer(found, dtype=_KIND).tolist()
        assert len(loads) == BUCKETS
        return tuple(loads)


def _found(definition: int, run: str) -> sa.Select[Any]:
    return sa.select(_L.loads).where(_L.definition == definition, _L.run == run)


def open_loads(database: Database, connection: sa.Connection, definition: int, run: str) -> None:
    """Open the row of a new run, whose workers haven't agreed yet."""
    database.write_rows(connection, database.insert_new(bucket_loads), [(definition, run, b"")])


def forget_loads(connection: sa.Connection) -> None:
    """Remove the loads of runs that are over."""
    live = sa.select(live_runs.c.run).where(live_runs.c.definition == _L.definition, live_runs.c.status != "DROPPED")
    built = sa.select(batch_runs.c.id).where(
        batch_runs.c.definition == _L.definition, batch_runs.c.status == "BUILDING"
    )
    connection.execute(bucket_loads.delete().where(_L.run.not_in(live), _L.run.not_in(built)))
