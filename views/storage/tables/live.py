"""Live runs: their states, tallies, ids, segments, late events and duplicates."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, key_text, number, part, text

__all__ = [
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
    "straddlers",
]

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
"""Locked by writers of one run instead of its row: a row for each shard, and some below 0 for lanes, which publish
watermarks."""

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
"""Ids that live counted in a tile that it has evicted, to detect late copies of earlier generations; `newest`: the last
generation of them. A tile that still gets events is evicted once more, under another token."""

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
"""The states of evicted tiles, without the ids, for as long as events may come in time."""

live_attempts = sa.Table(
    "live_attempts",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard")),
    count("attempt"),
    sa.Column("behind", sa.Boolean(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""How often a tile's rows were replaced by those of a runner that had gone back to a checkpoint; `behind`: a runner has
gone back, and hasn't caught up yet."""

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
"""Sums of live_segments and live_tallies, kept in the same transactions: answers don't sum up every segment. Those of
segments lie under the shards of lanes, see live_shards."""

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
