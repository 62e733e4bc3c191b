"""Batch runs: their lineage, counts, states and the ids that they counted."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, key_text, number, part, text

__all__ = ["batch_cleared", "batch_counts", "batch_ids", "batch_left_out", "batch_runs", "batch_states"]

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
"""`settled`: the rows of ancestors that its rows replace were removed. `conflicts` and `residue` (absolute) are over
the run and all its ancestors, set when it is finished; so are `files_until`, `journal_until` and `missing`, which
`tandem.views.rows.Completeness` describes."""

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
"""Zero events and empty states mark that the run has nothing for this key and tile, whatever its ancestors have."""

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
