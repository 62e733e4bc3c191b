"""The tables of the view store, as SQLAlchemy Core; the same statements run on SQLite and PostgreSQL.

Definitions, batch runs and live runs have small integers of the store besides their names, so that the rows
of states stay short. A batch run's integer is its ordinal: a run's is always higher than its parent's.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

__all__ = [
    "METADATA",
    "SCHEMA_VERSION",
    "batch_cleared",
    "batch_counts",
    "batch_ids",
    "batch_left_out",
    "batch_runs",
    "batch_states",
    "dead_letter_acts",
    "dead_letter_replays",
    "dead_letter_rows",
    "dead_letters",
    "definitions",
    "late_ledger",
    "live_asides",
    "live_attempts",
    "live_ids",
    "live_runs",
    "live_segments",
    "live_states",
    "live_tallies",
    "live_totals",
    "pointers",
    "publications",
    "store_version",
    "straddlers",
]

SCHEMA_VERSION: Final = 5
"""Goes up with every change of these tables; a store of another version is refused."""

METADATA = sa.MetaData()

_WITHOUT_ROWID: Final[dict[str, Any]] = {"sqlite_with_rowid": False}
"""Rows live in the primary key's B-tree itself: one key's tiles lie next to each other."""


def _number() -> sa.types.TypeEngine[int]:
    """A number that the store gives out. SQLite does so only for INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key_text() -> sa.types.TypeEngine[str]:
    """Keys in the order of their bytes, whatever the server's language is."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _part(name: str, kind: sa.types.TypeEngine[Any] | None = None, *, of: str | None = None) -> sa.Column[Any]:
    """One column of a primary key that the writer gives."""
    references = [sa.ForeignKey(of)] if of else []
    return sa.Column(name, kind or sa.BigInteger(), *references, primary_key=True, autoincrement=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, default=0)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, **options)


store_version = sa.Table("tandem_store", METADATA, _part("schema_version"), _count("created_at"))

definitions = sa.Table(
    "definitions",
    METADATA,
    sa.Column("id", _number(), primary_key=True),
    _text("version", unique=True),
    _text("name", index=True),
    _text("text"),
    _count("tile"),
    _count("lateness"),
    _count("created_at"),
    sqlite_autoincrement=True,
)

batch_runs = sa.Table(
    "batch_runs",
    METADATA,
    sa.Column("ordinal", _number(), primary_key=True),
    _text("id", unique=True),
    sa.Column("definition", sa.ForeignKey("definitions.id"), nullable=False, index=True),
    sa.Column("parent", sa.ForeignKey("batch_runs.ordinal")),
    _count("boundary"),
    sa.Column("file_sets", sa.JSON(), nullable=False),
    sa.Column("manifest", sa.JSON()),
    _text("status"),
    sa.Column("built_for", sa.ForeignKey("live_runs.id", use_alter=True)),
    _count("conflicts"),
    _count("residue"),
    sa.Column("settled", sa.Boolean(), nullable=False, default=False),
    _count("created_at"),
    sqlite_autoincrement=True,
)
"""`settled`: the rows of ancestors that its rows replace were removed. `conflicts` and `residue` (absolute)
are over the run and all its ancestors, set when it is finished.
"""

batch_counts = sa.Table(
    "batch_counts",
    METADATA,
    _part("batch_run", of="batch_runs.ordinal"),
    _part("generation"),
    *(_count(name) for name in ("received", "counted", "filtered", "duplicates", "dead")),
)

batch_states = sa.Table(
    "batch_states",
    METADATA,
    _part("definition"),
    _part("key", _key_text()),
    _part("tile"),
    _part("batch_run"),
    _count("events"),
    sa.Column("states", sa.LargeBinary(), nullable=False),
    sa.Index("batch_states_by_run", "batch_run", "tile"),
    **_WITHOUT_ROWID,
)
"""Zero events and empty states say that the run has nothing for this key and tile, whatever its ancestors
have.
"""

batch_cleared = sa.Table("batch_cleared", METADATA, _part("definition"), _part("tile"), _part("batch_run"))

batch_ids = sa.Table(
    "batch_ids",
    METADATA,
    _part("definition"),
    _part("tile"),
    _part("shard"),
    _part("batch_run"),
    _part("generation"),
    sa.Column("ids", sa.LargeBinary(), nullable=False),
    sa.Index("batch_ids_by_run", "batch_run", "generation"),
    **_WITHOUT_ROWID,
)

batch_left_out = sa.Table(
    "batch_left_out",
    METADATA,
    *(_part(name) for name in ("batch_run", "tile", "shard", "hash", "content")),
)

live_runs = sa.Table(
    "live_runs",
    METADATA,
    sa.Column("id", _number(), primary_key=True),
    sa.Column("definition", sa.ForeignKey("definitions.id"), nullable=False),
    _text("run"),
    _text("journal"),
    _count("base_boundary"),
    sa.Column("base_batch_run", sa.ForeignKey("batch_runs.ordinal")),
    sa.Column("takeover", sa.JSON(), nullable=False),
    sa.Column("caught_up", sa.Boolean(), nullable=False),
    _text("status"),
    sa.Column("watermark", sa.BigInteger()),
    _count("pruned_to"),
    _count("started_at"),
    _count("updated_at"),
    sa.UniqueConstraint("definition", "run"),
    sqlite_autoincrement=True,
)

live_states = sa.Table(
    "live_states",
    METADATA,
    _part("run"),
    _part("key", _key_text()),
    _part("tile"),
    _part("generation"),
    _count("events"),
    sa.Column("states", sa.LargeBinary(), nullable=False),
    **_WITHOUT_ROWID,
)

live_tallies = sa.Table(
    "live_tallies",
    METADATA,
    *(_part(name) for name in ("run", "tile", "shard", "generation")),
    *(_count(name) for name in ("counted", "duplicates", "conflicts", "seen")),
    **_WITHOUT_ROWID,
)

live_ids = sa.Table(
    "live_ids",
    METADATA,
    *(_part(name) for name in ("run", "tile", "shard")),
    _part("token", sa.LargeBinary()),
    _count("newest"),
    sa.Column("counted", sa.LargeBinary(), nullable=False),
    **_WITHOUT_ROWID,
)
"""Ids that live counted in a tile that it has set aside, for late copies of earlier generations that come even then;
`newest`: the last generation of them. A tile that something came for all the same is set aside once more, under another
token.
"""

live_asides = sa.Table(
    "live_asides",
    METADATA,
    *(_part(name) for name in ("run", "tile", "shard")),
    _part("token", sa.LargeBinary()),
    _count("newest"),
    sa.Column("states", sa.LargeBinary(), nullable=False),
    **_WITHOUT_ROWID,
)
"""The states of such tiles, without the ids, for as long as anything may come that is in time."""

live_attempts = sa.Table(
    "live_attempts",
    METADATA,
    *(_part(name) for name in ("run", "tile", "shard")),
    _count("attempt"),
    sa.Column("behind", sa.Boolean(), nullable=False),
    **_WITHOUT_ROWID,
)
"""How often a tile's rows were replaced by those of a runner that had gone back to a checkpoint; `behind`: one has gone
back, and hasn't caught up yet.
"""

live_segments = sa.Table(
    "live_segments",
    METADATA,
    _part("run"),
    _part("lane", sa.Text()),
    _part("number"),
    *(_count(name) for name in ("generation", "received", "routed", "filtered", "late", "dead")),
    **_WITHOUT_ROWID,
)

live_totals = sa.Table(
    "live_totals",
    METADATA,
    *(_part(name) for name in ("run", "generation")),
    *(_count(name) for name in ("received", "routed", "filtered", "late", "dead")),
    *(_count(name) for name in ("counted", "duplicates", "conflicts")),
    **_WITHOUT_ROWID,
)
"""Sums of live_segments and live_tallies, kept in the same transactions: answers don't add up every segment.
"""

late_ledger = sa.Table(
    "late_ledger",
    METADATA,
    _part("run"),
    _part("tile"),
    _part("generation"),
    _part("lane", sa.Text()),
    _part("number"),
    _count("count"),
    **_WITHOUT_ROWID,
)

straddlers = sa.Table(
    "straddlers",
    METADATA,
    *(_part(name) for name in ("run", "tile", "shard", "hash", "content")),
    *(_count(name) for name in ("counted_generation", "earlier_generation")),
)

dead_letters = sa.Table(
    "dead_letters",
    METADATA,
    _part("definition", of="definitions.id"),
    _part("position", sa.Text()),
    _count("generation"),
    _count("count"),
    _text("status"),
    _count("replayed"),
    _count("dropped"),
    sa.Index("dead_letters_by_status", "definition", "status", "count"),
)
"""By position how many letters are open (`count`), replayed and dropped, by what is served: `views.dead_letters` works
it out of the three tables below, in the transactions that change them.
"""

dead_letter_rows = sa.Table(
    "dead_letter_rows",
    METADATA,
    _part("definition", of="definitions.id"),
    _part("position", sa.Text()),
    _part("live_run"),
    _part("batch_run"),
    _count("generation"),
    sa.Column("rows", sa.LargeBinary(), nullable=False),
    **_WITHOUT_ROWID,
)
"""The rows that a run found dead in a segment or a piece of a file. The other run's number is 0; both: a note by hand.
"""

dead_letter_replays = sa.Table(
    "dead_letter_replays",
    METADATA,
    _part("definition", of="definitions.id"),
    _part("original", sa.Text()),
    _part("original_row"),
    _part("position", sa.Text()),
    _part("row"),
    _part("live_run"),
    _part("batch_run"),
    _count("generation"),
    _count("attempt"),
    sa.Column("decoded", sa.Boolean(), nullable=False),
    _text("stage"),
    _text("reason"),
    _count("seen_at"),
    sa.Index("dead_letter_replays_by_place", "definition", "position"),
    **_WITHOUT_ROWID,
)
"""What a run made of a replay, at `position` and `row`, of the letter at `original` and `original_row`."""

dead_letter_acts = sa.Table(
    "dead_letter_acts",
    METADATA,
    _part("definition", of="definitions.id"),
    _part("position", sa.Text()),
    _part("row"),
    _part("ordinal"),
    _text("kind"),
    _count("attempt"),
    _text("note"),
    _count("at"),
    **_WITHOUT_ROWID,
)
"""What users did with a letter, in order: 'sent', 'replayed' (told by hand) or 'dropped'."""

publications = sa.Table(
    "publications",
    METADATA,
    sa.Column("ordinal", _number(), primary_key=True),
    _text("name", index=True),
    sa.Column("definition", sa.ForeignKey("definitions.id"), nullable=False),
    _count("boundary"),
    sa.Column("batch_run", sa.ForeignKey("batch_runs.ordinal")),
    sa.Column("live_run", sa.ForeignKey("live_runs.id")),
    _text("kind"),
    _text("note"),
    _count("published_at"),
    sqlite_autoincrement=True,
)

pointers = sa.Table(
    "pointers",
    METADATA,
    _part("name", sa.Text()),
    sa.Column("publication", sa.ForeignKey("publications.ordinal")),
)
"""What is served: one row a name, moved in the same transaction that writes the publication."""
