"""The tables of digests, of segments' tiles, and of reconcile runs' findings and repairs."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, number, part, text

__all__ = [
    "batch_id_digests",
    "batch_state_digests",
    "drift",
    "late_ids",
    "live_id_digests",
    "receipts",
    "reconciliations",
    "segment_tiles",
]


def _digest(name: str = "digest") -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


batch_id_digests = sa.Table(
    "batch_id_digests",
    METADATA,
    *(part(name) for name in ("definition", "tile", "shard", "batch_run", "generation")),
    count("counted"),
    _digest(),
    crc(),
    **WITHOUT_ROWID,
)
"""A batch run's counts, written with its ids: the number of events, and the digest of their ids."""

batch_state_digests = sa.Table(
    "batch_state_digests",
    METADATA,
    *(part(name) for name in ("definition", "tile", "shard", "batch_run")),
    count("rows"),
    count("events"),
    _digest(),
    crc(),
    sa.Index("batch_state_digests_by_run", "batch_run", "tile"),
    **WITHOUT_ROWID,
)
"""A batch run's changes to a tile's rows: those that it wrote less those of its ancestors that they replace.

So the sum over a run and its ancestors is what a read of the tile must give, whatever pruning has removed."""

live_id_digests = sa.Table(
    "live_id_digests",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard", "generation")),
    count("counted"),
    count("seen"),
    _digest(),
    crc(),
    **WITHOUT_ROWID,
)
"""The digest of the ids behind a row of live_tallies; void if its `seen` differs from that row's."""

late_ids = sa.Table(
    "late_ids",
    METADATA,
    *(part(name) for name in ("run", "tile", "shard", "hash", "content", "generation")),
    crc(),
    **WITHOUT_ROWID,
)
"""Ids of events that came too late for live; none for definitions without de-duplication."""

segment_tiles = sa.Table(
    "segment_tiles",
    METADATA,
    part("definition"),
    part("position", sa.Text()),
    part("number"),
    sa.Column("tiles", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""The tiles with events of a segment, or of a batch of a file's piece; the same for every run that routes it."""

reconciliations = sa.Table(
    "reconciliations",
    METADATA,
    sa.Column("ordinal", number(), primary_key=True),
    text("name", index=True),
    count("definition"),
    count("at"),
    count("boundary"),
    sa.Column("batch_run", sa.Text()),
    sa.Column("live_run", sa.Text()),
    sa.Column("repair", sa.Text()),
    sa.Column("publication", sa.BigInteger()),
    sa.Column("summary", sa.JSON(), nullable=False),
    crc(),
    sqlite_autoincrement=True,
)
"""One row for each reconcile run with new findings; with `repair`, the batch run that it wrote, it is a receipt."""

receipts = sa.Table(
    "receipts",
    METADATA,
    part("reconciliation"),
    part("tile"),
    part("key", sa.Text()),
    text("cause"),
    *(sa.Column(f"{when}_events", sa.BigInteger()) for when in ("before", "after")),
    *(sa.Column(f"{when}_states", sa.LargeBinary()) for when in ("before", "after")),
    crc(),
)
"""One row for each repaired key: the answer's row before and after; nulls for no row."""

drift = sa.Table(
    "drift",
    METADATA,
    *(part(name) for name in ("definition", "run", "generation", "tile")),
    count("reconciliation"),
    *(count(name) for name in ("live", "batch", "late", "arrived", "left", "missing", "extra", "logic")),
    _digest("live_digest"),
    _digest("batch_digest"),
    sa.Column("begun_at", sa.BigInteger()),
    sa.Column("agreed_at", sa.BigInteger()),
    crc(),
    **WITHOUT_ROWID,
)
"""The counts of a live run for a generation's events in a tile, those of batch, and the causes of the difference."""
