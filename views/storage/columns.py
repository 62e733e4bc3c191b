"""The kinds of columns of the view store's tables, in SQLAlchemy Core; the same on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

__all__ = ["CRC", "METADATA", "WITHOUT_ROWID", "count", "crc", "key_text", "number", "part", "text"]

METADATA = sa.MetaData()

CRC: Final = "crc"
"""The last column of every table: the checksum of the row, see `tandem.views.storage.checksums`."""

WITHOUT_ROWID: Final[dict[str, Any]] = {"sqlite_with_rowid": False}
"""Rows lie in the primary key's B-tree itself: one key's tiles are adjacent."""


def number() -> sa.types.TypeEngine[int]:
    """A number that the store assigns. SQLite does so only for INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def key_text() -> sa.types.TypeEngine[str]:
    """Keys sorted by their bytes, whatever the server's language is."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def part(name: str, kind: sa.types.TypeEngine[Any] | None = None, *, of: str | None = None) -> sa.Column[Any]:
    """One column of a primary key, set by the writer."""
    references = [sa.ForeignKey(of)] if of else []
    return sa.Column(name, kind or sa.BigInteger(), *references, primary_key=True, autoincrement=False)


def count(name: str) -> sa.Column[int]:
    """A number or a time; 0 by default."""
    return sa.Column(name, sa.BigInteger(), nullable=False, default=0)


def text(name: str, **options: Any) -> sa.Column[str]:
    """A text, never null."""
    return sa.Column(name, sa.Text(), nullable=False, **options)


def crc(name: str = CRC) -> sa.Column[int]:
    """A checksum, a number below 2^32."""
    return sa.Column(name, sa.BigInteger(), nullable=False, default=0)
