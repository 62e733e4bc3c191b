"""The schema version, the definitions, and the publications under their names."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, count, crc, number, part, text

__all__ = ["SCHEMA_VERSION", "definitions", "pointers", "publications", "store_version"]

SCHEMA_VERSION: Final = 11
"""Rises with every change of these tables; a store of another version is refused."""

store_version = sa.Table(
    "tandem_store", METADATA, part("schema_version"), count("created_at"), count("commits"), text("id", default="")
)
"""`commits`: transactions that wrote, see `tandem.views.storage.commit_marks`. `id`: of this store alone, for its
layers."""

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
"""The served publication of each name, moved in the transaction that writes the publication."""
