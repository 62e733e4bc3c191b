"""Connections to the embedded store: their settings, the start of their transactions, the meaning of their errors."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import NoStoreError, StoreAddressError
from tandem.schemas.privacy.files import private
from tandem.views.locking.waiting import begin_immediate
from tandem.views.storage.checksums import prepare_connection, seal_changes
from tandem.views.storage.columns import METADATA

__all__ = [
    "APPLICATION_ID",
    "MODE",
    "PAGE_BYTES",
    "begin_sqlite",
    "check_file",
    "closed_to_us",
    "connect_sqlite",
    "damage_of",
    "no_store_at",
]

APPLICATION_ID: Final = 0x544E444D
PAGE_BYTES: Final = 8192
MODE: Final = "tandem_mode"
"""Execution option: 'read', 'write', or 'durable'."""

_CACHE_KIB: Final = 64 * 1024
_WAL_BYTES: Final = 256 << 20
"""Size of the log of changes at which a commit copies it into the file itself, where the checkpointer hasn't. After a
bulk write the log shrinks to this size."""
_SEALED: Final = "tandem_sealed"
_OF_ITS_OWNER: Final = "run this as its owner, who can let a group in by `tandem private --group NAME`"


def damage_of(error: BaseException) -> str | None:
    """SQLite's message about a damaged file, or a generic one where SQLite would quote bytes that aren't UTF-8; else
    None.

    Python can't decode each message: the name of a damaged table needn't be UTF-8.
    """
    if isinstance(error, UnicodeDecodeError):
        return "a name or text in it is damaged"
    text = str(error)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return text
    return "a text in it is damaged" if "decode to UTF-8" in text else None


def no_store_at(path: str) -> str:
    """What is said of a file of a store that isn't there; where a journal or backfills have been, it is lost."""
    folder = os.path.dirname(os.path.abspath(path))
    if any(os.path.exists(os.path.join(folder, name)) for name in ("taken-in", "journal/lanes")):
        return f"no view store at {path}, and data beside it: `tandem rebuild` makes it anew; --store names another"
    return f"no view store at {path}: nothing has run there yet; --home or --store names another"


def closed_to_us(path: str) -> str | None:
    """Why this user can't open a file of a store that may be there, and what helps; None where it isn't known.

    SQLite may read a store that can't be written, while others have its log open: ask when it has failed.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.stat(path)
    except PermissionError:
        return f"this user may not look into {folder}; {_OF_ITS_OWNER}"
    except OSError:
        return None
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} can only be read, and SQLite writes beside its file even to read; mount it writable"
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True) or not os.access(folder, os.W_OK, effective_ids=True):
        return f"this user may not write it, and SQLite writes beside its file even to read; {_OF_ITS_OWNER}"
    return None


def check_file(path: str | None, create: bool) -> bool:
    """Create the file of a store where it is missing and `create` allows it; returns whether it is new. Raises
    StoreAddressError, NoStoreError.
    """
    if not path or path == ":memory:":
        raise StoreAddressError("a view store needs a file, found an SQLite URL without a path")
    if os.path.isdir(path):
        raise StoreAddressError(f"view store {path}: is a folder, not a file")
    try:
        os.stat(path)
    except PermissionError:
        raise StoreAddressError(f"view store {path}: {closed_to_us(path)}") from None
    except OSError:
        pass
    if not create and not os.path.exists(path):
        raise NoStoreError(no_store_at(path))
    if create and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise StoreAddressError(f"view store {path}: its folder doesn't exist")
    is_new = not os.path.exists(path)
    if is_new:
        # SQLite gives its log and index the mode of the file.
        with suppress(OSError), open(path, "xb", opener=private):
            pass
    return is_new


def connect_sqlite(connection: Any, _: Any) -> None:
    # The driver must not open transactions by itself: it wouldn't before a SELECT.
    connection.isolation_level = None
    prepare_connection(connection)
    cursor = connection.cursor()
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"cache_size=-{_CACHE_KIB}",
        f"wal_autocheckpoint={_WAL_BYTES // PAGE_BYTES}",
        f"journal_size_limit={_WAL_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin_sqlite(connection: sa.Connection) -> None:
    mode = connection.get_execution_options().get(MODE, "read")
    # Straight to the driver: SQLAlchemy would take longer than the read itself.
    driver: Any = connection.connection.driver_connection
    if mode == "read":
        driver.execute("BEGIN")
        return
    if not connection.info.get(_SEALED) and _has_tables(driver):
        seal_changes(driver)
        connection.info[_SEALED] = True
    # The level can be set only outside of a transaction.
    driver.execute(f"PRAGMA synchronous={'FULL' if mode == 'durable' else 'NORMAL'}")
    begin_immediate(driver, str(connection.engine.url.database))


def _has_tables(driver: sqlite3.Connection) -> bool:
    """Whether all tables exist: a new store has none yet, an older one may lack some."""
    found = driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return METADATA.tables.keys() <= {name for (name,) in found}
