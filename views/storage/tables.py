"""The tables of the view store, as SQLAlchemy Core; the same statements run on SQLite and PostgreSQL.

Definitions, batch runs and live runs have small integers of the store besides their names, so that the rows
of states stay short. A batch run's integer is its ordinal: a run's is always higher than its parent's.
Every row ends with its checksum (`views.row_checks`). `shard` is the first bucket of the shard that wrote a row, as
`tandem.schemas.buckets` has them: 0 where the run has one.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, key_text, number, part, text

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

SCHEMA_VERSION: Final = 10
"""Goes up with every change of these tables; a store of another version is refused."""

store_version = sa.Table(
    "tandem_store", METADATA, part("schema_version"), count("created_at"), count("commits"), text("id", default="")
)
"""`commits`: transactions that wrote, see `views.commit_marks`. `id`: of this store alone, for its layers."""

definitions = sa.Table(
    "definitions",
    METADATA,
    sa.Column("id", number(), primary_key=True),
    text("version", unique=True),
    text("name", index=True),
    text("text"),
    count("tile"),
    count("lateness"),
    count("created_at"),
    crc(),
    sqlite_autoincrement=True,
)

batch_runs = sa.Table(
    "batch_runs",
    METADATA,
    sa.Column("ordinal", number(), primary_key=True),
    text("id", unique=True),
    sa.Column("definition", sa.ForeignKey("definitions.id"), nullable=False, index=True),
    sa.Column("parent", sa.ForeignKey("batch_runs.ordinal")),
    count("boundary"),
    sa.Column("file_sets", sa.JSON(), nullable=False),
    sa.Column("manifest", sa.JSON()),
    text("status"),
    sa.Column("built_for", sa.ForeignKey("live_runs.id", use_alter=True)),
    count("conflicts"),
    count("residue"),
    sa.Column("settled", sa.Boolean(), nullable=False, default=False),
    sa.Column("files_until", sa.BigInteger()),
    sa.Column("journal_until", sa.BigInteger()),
    sa.Column("missing", sa.JSON(), nullable=False, default=list),
    count("created_at"),
    crc("manifest_crc"),
    crc(),
    sqlite_autoincrement=True,
)
"""`settled`: the rows of ancestors that its rows replace were removed. `conflicts` and `residue` (absolute)
are over the run and all its ancestors, set when it is finished; so are `files_until`, `journal_until` and `missing`,
of which `rows.Told` says what they are.
"""

batch_counts = sa.Table(
    "batch_counts",
    METADATA,
    part("batch_run", of="batch_runs.ordinal"),
    part("generation"),
    *(count(name) for name in ("received", "counted", "filtered", "duplicates", "dead")),
    crc(),
)

batch_states = sa.Table(
    "batch_states",
    METADATA,
    part("definition"),
    part("key", key_text()),
    part("tile"),
    part("batch_run"),
    count("events"),
    sa.Column("states", sa.LargeBinary(), nullable=False),
    crc(),
    sa.Index("batch_states_by_run", "batch_run", "tile"),
    **WITHOUT_ROWID,
)
"""Zero events and empty states say that the run has nothing for this key and tile, whatever its ancestors
have.
"""

batch_cleared = sa.Table(
    "batch_cleared",
    METADATA,
    part("definition"),
    part("tile"),
    part("batch_run"),
    crc(),
)

batch_ids = sa.Table(
    "batch_ids",
    METADATA,
    part("definition"),
    part("tile"),
    part("shard"),
    part("batch_run"),
    part("generation"),
    sa.Column("ids", sa.LargeBinary(), nullable=False),
    crc(),
    sa.Index("batch_ids_by_run", "batch_run", "generation"),
    **WITHOUT_ROWID,
)

batch_left_out = sa.Table(
    "batch_left_out",
    METADATA,
    *(part(name) for name in ("batch_run", "tile", "shard", "hash", "content")),
    crc(),
)

live_runs = sa.Table(
    "live_runs",
    METADATA,
    sa.Column("id", number(), primary_key=True),
    sa.Column("definition", sa.ForeignKey("definitions.id"), nullable=False),
    text("run"),
    text("journal"),
    count("base_boundary"),
    sa.Column("base_batch_run", sa.ForeignKey("batch_runs.ordinal")),
    sa.Column("takeover", sa.JSON(), nullable=False),
    sa.Column("caught_up", sa.Boolean(), nullable=False),
    text("status"),
    count("pruned_to"),
    count("started_at"),
    crc(),
    sa.UniqueConstraint("definition", "run"),
    sqlite_autoincrement=True,
)

live_shards = sa.Table(
    "live_shards",
    METADATA,
    *(part(name) for name in ("run", "shard")),
    sa.Column("watermark", sa.BigInteger()),
    count("updated_at"),
    crc(),
    **WITHOUT_ROWID,
)
"""What writers of one run lock instead of its row: a row a shard, and some below 0 for lanes, which publish watermarks.
"""

live_states = sa.Table(
    "live_states",
    METADATA,
    part("run"),
    part("key", key_text()),
    part("tile"),
    part("generation"),
    count("events"),
    sa.Column("states", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)

live_tallies = sa.Table(
    "live_tallies",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard", "generation")),
    *(count(name) for name in ("counted", "duplicates", "conflicts", "seen")),
    crc(),
    **WITHOUT_ROWID,
)

live_ids = sa.Table(
    "live_ids",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard")),
    part("token", sa.LargeBinary()),
    count("newest"),
    sa.Column("counted", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""Ids that live counted in a tile that it has evicted, for late copies of earlier generations that come even then;
`newest`: the last generation of them. A tile that something came for all the same is evicted once more, under another
token.
"""

live_asides = sa.Table(
    "live_asides",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard")),
    part("token", sa.LargeBinary()),
    count("newest"),
    sa.Column("states", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""The states of such tiles, without the ids, for as long as anything may come that is in time."""

live_attempts = sa.Table(
    "live_attempts",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard")),
    count("attempt"),
    sa.Column("behind", sa.Boolean(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""How often a tile's rows were replaced by those of a runner that had gone back to a checkpoint; `behind`: one has gone
back, and hasn't caught up yet.
"""

live_segments = sa.Table(
    "live_segments",
    METADATA,
    part("run"),
    part("lane", sa.Text()),
    part("number"),
    *(count(name) for name in ("generation", "received", "routed", "filtered", "late", "dead")),
    crc(),
    **WITHOUT_ROWID,
)

live_totals = sa.Table(
    "live_totals",
    METADATA,
    *(part(name) for name in ("run", "shard", "generation")),
    *(count(name) for name in ("received", "routed", "filtered", "late", "dead")),
    *(count(name) for name in ("counted", "duplicates", "conflicts")),
    crc(),
    **WITHOUT_ROWID,
)
"""Sums of live_segments and live_tallies, kept in the same transactions: answers don't add up every segment. Those of
segments lie under the shards of lanes, see live_shards.
"""

late_ledger = sa.Table(
    "late_ledger",
    METADATA,
    part("run"),
    part("tile"),
    part("generation"),
    part("lane", sa.Text()),
    part("number"),
    count("count"),
    crc(),
    **WITHOUT_ROWID,
)

straddlers = sa.Table(
    "straddlers",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard", "hash", "content")),
    *(count(name) for name in ("counted_generation", "earlier_generation")),
    crc(),
)

publications = sa.Table(
    "publications",
    METADATA,
    sa.Column("ordinal", number(), primary_key=True),
    text("name", index=True),
    sa.Column("definition", sa.ForeignKey("definitions.id"), nullable=False),
    count("boundary"),
    sa.Column("batch_run", sa.ForeignKey("batch_runs.ordinal")),
    sa.Column("live_run", sa.ForeignKey("live_runs.id")),
    text("kind"),
    text("note"),
    count("published_at"),
    crc(),
    sqlite_autoincrement=True,
)

pointers = sa.Table(
    "pointers",
    METADATA,
    part("name", sa.Text()),
    sa.Column("publication", sa.ForeignKey("publications.ordinal")),
    crc(),
)
"""What is served: one row a name, moved in the same transaction that writes the publication."""
