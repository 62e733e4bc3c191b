"""The address of a view store: parsed, shown without its password, and turned into an URL of SQLAlchemy."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreAddressError
from tandem.schemas.privacy.libpq import PARAMETERS
from tandem.schemas.privacy.secrets import keep_address, keep_secret, redacted
from tandem.views.storage.access.passwords import PARAMETER, password_of

__all__ = ["insert_of", "parse_address", "shown_address"]

_DRIVERS: Final = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_PASSWORD: Final = re.compile(r"(://[^/@:]*:).*@", re.DOTALL)
_PARAMETER_VALUE: Final = re.compile(
    r"((?:password|secret|scram_(?:client|server)_key)(?:\s*=\s*|%3d)).*", re.I | re.DOTALL
)
"""The whole rest: an & within a password doesn't end it."""
_WITHOUT_SCHEME: Final = re.compile(r"[^/:@]*:([^@]+)@")
"""Matches NAME:PASSWORD@ where the scheme is missing or misspelt, so that the address is taken for a path."""
_CONNINFO: Final = re.compile(r"(?:^|\s)(?:host|hostaddr|dbname|user|password|service)\s*=")
_FORMS: Final = "a path, sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE"


def parse_address(text: str) -> sa.URL:
    """The parsed address of `sqlite:///PATH`, a plain path, or `postgresql://...`; its password is kept secret.

    `password_from` is replaced by the password that it names. Raises StoreAddressError for another scheme or driver, an
    invalid port or address, a password that can't be read, and for a driver that isn't installed.
    """
    keep_address(text)
    if "://" not in text:
        for found in _WITHOUT_SCHEME.findall(text):
            keep_secret(found)
            keep_secret(found.rpartition(":")[2])
        if _CONNINFO.search(text):
            raise StoreAddressError(f"libpq's KEY=VALUE is no address of a view store: it is {_FORMS}")
        return sa.URL.create("sqlite", database=text)
    scheme = text.partition("://")[0]
    if scheme and scheme not in _DRIVERS:
        raise StoreAddressError(f"a view store is sqlite or postgresql, found {redacted(scheme)[:40]}: write {_FORMS}")
    if scheme.startswith("postgres") and text.count("@") > 1:
        # The text after the first @ would be taken for the host, and shown as such.
        raise StoreAddressError(f"an @ within a name or password is written %40, in {shown_address(text)!r}")
    try:
        parsed = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError, TypeError):
        raise StoreAddressError(f"not the address of a view store: {shown_address(text)!r}; it is {_FORMS}") from None
    if _DRIVERS[scheme].endswith("psycopg") and find_spec("psycopg") is None:
        raise StoreAddressError("PostgreSQL needs a driver that isn't installed: pip install 'tandem-beam[postgres]'")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise StoreAddressError(f"a port is a number up to 65535, found {parsed.port} in {shown_address(text)!r}")
    if scheme.startswith("postgres"):
        _check_parameters(text, parsed)
    parsed = _with_password(parsed)
    for secret in (parsed.password, *(_texts(parsed.query.get("password")))):
        keep_secret(str(secret) if secret is not None else None)
    return parsed.set(drivername=_DRIVERS[scheme])


def _check_parameters(text: str, address: sa.URL) -> None:
    """Reject parameters that the driver would quote in an error: they may be the rest of a password with an & in it."""
    named = [part.partition("=") for part in text.partition("?")[2].split("&") if part] if address.query else []
    unknown = [part for part in named if not part[1] or part[0] not in {*PARAMETERS, PARAMETER}]
    for name, _, value in unknown:
        keep_secret(value or name)
    if unknown:
        why = "a parameter isn't one of PostgreSQL's; an & within a password is written %26"
        raise StoreAddressError(f"{shown_address(text)}: {why}")


def _with_password(address: sa.URL) -> sa.URL:
    named = _texts(address.query.get(PARAMETER))
    if not named:
        return address
    if len(named) > 1 or address.password is not None:
        raise StoreAddressError(f"{shown_address(address)}: one password, either in the address or by {PARAMETER}")
    return address.difference_update_query([PARAMETER]).set(password=password_of(named[0]))


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def shown_address(address: str | sa.URL) -> str:
    """The address without its password, wherever the password stands in it."""
    if isinstance(address, sa.URL):
        address = address.render_as_string(hide_password=True)
    # Everything up to the last @: a password may hold one, and spaces.
    return redacted(_PARAMETER_VALUE.sub(r"\1***", _PASSWORD.sub(r"\1***@", address)))


def insert_of(kind: str) -> Any:
    """The dialect's INSERT, which has ON CONFLICT; PostgreSQL's is imported on demand, with drivers that SQLite doesn't
    need.
    """
    if kind == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as of_sqlite

        return of_sqlite
    from sqlalchemy.dialects.postgresql import insert as of_postgresql

    return of_postgresql
