"""Grants for users of a PostgreSQL store: each job reads everything, and writes only its own tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import sqlalchemy as sa

from tandem.schemas.errors import UserError
from tandem.views.storage.columns import METADATA
from tandem.views.storage.database import Database

__all__ = ["ROLES", "check_users", "grant", "statements"]

_BATCH: Final = frozenset({"batch_states", "batch_ids", "batch_cleared", "batch_counts", "batch_left_out"})
_LIVE: Final = frozenset({"live_states", "live_tallies", "live_segments", "live_totals"})
ROLES: Final[Mapping[str, frozenset[str] | None]] = {
    "serve": None,
    "live": _BATCH,
    "backfill": _LIVE,
    "reconcile": _LIVE,
    "operator": frozenset(),
}
"""By role the tables that it doesn't add to or change; None: it writes nothing at all."""


def statements(role: str, user: str, schema: str, tables: Iterable[str]) -> Iterator[str]:
    """The SQL that gives a user exactly a role's rights in a schema, whatever rights it had before.

    No role creates, alters or truncates tables: the owner of the store does. Raises UserError for another role.
    """
    if role not in ROLES:
        raise UserError(f"no role is named {role!r}; there are {', '.join(ROLES)}")
    who, where, left_out = _quoted(user), _quoted(schema), ROLES[role]
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {where} FROM {who}"
    yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {where} FROM {who}"
    yield f"REVOKE CREATE ON SCHEMA {where} FROM {who}"
    yield f"GRANT USAGE ON SCHEMA {where} TO {who}"
    for table in sorted(tables):
        rights = (
            "SELECT"
            if left_out is None
            else "SELECT, DELETE"
            if table in left_out
            else "SELECT, INSERT, UPDATE, DELETE"
        )
        yield f"GRANT {rights} ON TABLE {where}.{_quoted(table)} TO {who}"
    if left_out is not None:
        yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {where} TO {who}"


def check_users(address: str) -> None:
    """Raise UserError for a store in a file."""
    if address.startswith("sqlite"):
        raise UserError("a store in a file has no users; who may reach the file may write it: see `tandem private`")


def grant(database: Database, role: str, user: str) -> list[str]:
    """Give a user of the database a role in one transaction; returns the statements. Raises UserError, StoreError."""
    check_users(database.url.get_backend_name())
    with database.write() as connection:
        schema = str(connection.execute(sa.text("SELECT current_schema()")).scalar())
        known = connection.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :user"), {"user": user}).scalar()
        if known is None:
            raise UserError(f"the server has no user {user!r}; CREATE USER makes one")
        there = sa.inspect(connection).get_table_names(schema)
        made = list(_of_cloud_sql(connection, user))
        made += statements(role, user, schema, set(METADATA.tables) & set(there))
        for one in made:
            connection.execute(sa.text(one))
    return made


def _of_cloud_sql(connection: sa.Connection, user: str) -> Iterator[str]:
    """Takes away a membership: Cloud SQL makes every user that its API creates a member of its own administrators."""
    member = sa.text(
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member"
        " WHERE r.rolname = 'cloudsqlsuperuser' AND u.rolname = :user"
    )
    if connection.execute(member, {"user": user}).scalar() is not None:
        yield f"REVOKE cloudsqlsuperuser FROM {_quoted(user)}"


def _quoted(name: str) -> str:
    """An identifier of SQL, quoted whatever it contains."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
