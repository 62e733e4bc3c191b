"""The tables of the view store, as SQLAlchemy Core; the same statements run on SQLite and PostgreSQL.

Definitions, batch runs and live runs have small integers of the store besides their names, so that rows of states stay
short. A batch run's integer is its ordinal: always higher than its parent's. Every row ends with its checksum
(`tandem.views.storage.checksums`). `shard` is the first bucket of the shard that wrote a row, as
`tandem.schemas.buckets` has them: 0 for a run with a single shard.
"""

from __future__ import annotations

from tandem.views.storage.tables.batch import (
    batch_cleared,
    batch_counts,
    batch_ids,
    batch_left_out,
    batch_runs,
    batch_states,
)
from tandem.views.storage.tables.live import (
    late_ledger,
    live_asides,
    live_attempts,
    live_ids,
    live_runs,
    live_segments,
    live_shards,
    live_states,
    live_tallies,
    live_totals,
    straddlers,
)
from tandem.views.storage.tables.served import SCHEMA_VERSION, definitions, pointers, publications, store_version

__all__ = [
    "SCHEMA_VERSION",
    "batch_cleared",
    "batch_counts",
    "batch_ids",
    "batch_left_out",
    "batch_runs",
    "batch_states",
    "definitions",
    "late_ledger",
    "live_asides",
    "live_attempts",
    "live_ids",
    "live_runs",
    "live_segments",
    "live_shards",
    "live_states",
    "live_tallies",
    "live_totals",
    "pointers",
    "publications",
    "store_version",
    "straddlers",
]
