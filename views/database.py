"""Opening the store's database, its transactions, and its errors as one line."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tandem.schemas.errors import NoStoreError, StoreAddressError, StoreError
from tandem.schemas.failpoints import reached
from tandem.schemas.secrets import redacted
from tandem.views.checkpointing import Checkpointer
from tandem.views.store_address import parse_address, shown_address
from tandem.views.table_columns import METADATA
from tandem.views.tables import SCHEMA_VERSION, store_version

__all__ = ["Clock", "Database", "wall_clock"]

Clock = Callable[[], int]
"""Wall clock: microseconds since 1970-01-01 UTC."""

_BUSY_SECONDS: Final = 30
_LOOK_AGAIN: Final = 0.001
"""Seconds between two looks whether another writer is done."""
_CACHE_KIB: Final = 64 * 1024
_APPLICATION_ID: Final = 0x544E444D
_PAGE_BYTES: Final = 8192
_WAL_BYTES: Final = 256 << 20
"""Of the log of changes at which a commit copies it into the file itself, where the checkpointer doesn't get it done.
After a bulk write the log shrinks to as much.
"""
_MODE: Final = "tandem_mode"
_CREATION_LOCK: Final = 7_226_841_603


def wall_clock() -> int:
    """The machine's clock in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


class Database:
    """One SQL database that holds a view store. Safe to use from several threads; open one per process."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        """Open `sqlite:///PATH`, a plain path, or `postgresql://...`; make the tables where `create` allows
        it.

        Raises StoreError for a file that isn't there (without `create`), a damaged or foreign database, or a
        store of another schema version.
        """
        self.url = parse_address(url)
        self._statements: dict[Hashable, Any] = {}
        self._texts: dict[int, str] = {}  # by the id of a statement that is kept, so alive
        self.where = self.url.database if self.is_sqlite else shown_address(self.url)
        if self.is_sqlite:
            self._check_path(create)
        self._checkpointer = Checkpointer(str(self.url.database)) if self.is_sqlite else None
        with self.errors():
            self.engine = self._engine()
        try:
            self._prepare(create)
        except BaseException:
            self.engine.dispose()
            raise

    @property
    def is_sqlite(self) -> bool:
        """The embedded store, in a file."""
        return self.url.get_backend_name() == "sqlite"

    def insert(self, table: sa.Table) -> Any:
        """The dialect's INSERT, which knows ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def made(self, build: Callable[[Database], Any]) -> Any:
        """The INSERT of all columns that a function of some module builds, built and compiled once."""
        return self._kept(build, lambda: build(self))

    def insert_new(self, table: sa.Table) -> Any:
        """INSERT of all columns that leaves rows as they are that are there."""
        return self._kept(("new", table.name), lambda: self.insert(table).on_conflict_do_nothing())

    def replace(self, table: sa.Table) -> Any:
        """INSERT of all columns, which replaces rows that are there."""

        def build() -> Any:
            insert = self.insert(table)
            values = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
            return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)

        return self._kept(("replace", table.name), build)

    def _kept(self, key: Hashable, build: Callable[[], Any]) -> Any:
        if key not in self._statements:
            statement = build()
            self._texts[id(statement)] = self._text(statement)
            self._statements[key] = statement
        return self._statements[key]

    def _text(self, statement: Any) -> str:
        names = [column.name for column in statement.table.columns]
        return str(statement.compile(dialect=self.engine.dialect, column_keys=names))

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One read transaction: all that is read in it is of one instant."""
        with self.errors(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(**{_MODE: "read"})
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        """One write transaction; `durable`: on disk before it returns, even through a loss of power."""
        with self.errors(), self.engine.connect() as connection:
            connection = connection.execution_options(**{_MODE: "durable" if durable else "write"})
            with connection.begin():
                yield connection
                reached("before-commit")
            reached("after-commit")
        if self._checkpointer is not None:
            self._checkpointer.look()

    def write_rows(self, connection: sa.Connection, statement: Any, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run an INSERT for many rows, given as tuples in the order of the table's columns."""
        rows = rows if isinstance(rows, Iterator) else iter(rows)
        first = next(rows, None)
        if first is None:
            return
        rows = chain((first,), rows)
        if self.is_sqlite:
            # Straight to the driver: naming every value of every row takes as long as SQLite does.
            text = self._texts.get(id(statement)) or self._text(statement)
            with self._cursor(connection) as cursor:
                cursor.executemany(text, rows)
        else:
            names = [column.name for column in statement.table.columns]
            connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        reached("mid-upsert")

    @contextmanager
    def _cursor(self, connection: sa.Connection) -> Iterator[Any]:
        """The driver's own cursor: it takes rows as they come, where SQLAlchemy would hold them all."""
        cursor = connection.connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of the driver as StoreError of one line."""
        try:
            yield
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            lines = str(cause).splitlines() or [type(cause).__name__]
            raise StoreError(f"view store {self.where}: {redacted(lines[0])}") from error

    def close(self) -> None:
        """Close all connections."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        self.engine.dispose()

    def _check_path(self, create: bool) -> None:
        path = self.url.database
        if not path or path == ":memory:":
            raise StoreAddressError("a view store needs a file, found an SQLite URL without a path")
        if os.path.isdir(path):
            raise StoreAddressError(f"view store {path}: is a folder, not a file")
        if not create and not os.path.exists(path):
            raise NoStoreError(f"no view store at {path}: nothing has run there yet; --home or --store names another")
        if create and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise StoreAddressError(f"view store {path}: its folder doesn't exist")

    def _engine(self) -> sa.Engine:
        if not self.is_sqlite:
            return sa.create_engine(self.url, pool_pre_ping=True, isolation_level="READ COMMITTED")
        engine = sa.create_engine(self.url, connect_args={"timeout": _BUSY_SECONDS}, max_overflow=32)
        sa.event.listen(engine, "connect", _connect_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _prepare(self, create: bool) -> None:
        """Check that this is a store of our version, or make one of an empty database."""
        with self.read() as connection:
            tables = self._tables(connection)
            if store_version.name in tables:
                self._check_version(connection)
                return
        self._check_empty(tables, create)
        if self.is_sqlite:
            self._set_journal()
        with self.write(durable=True) as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
            tables = self._tables(connection)
            if store_version.name in tables:  # another process was faster
                self._check_version(connection)
                return
            self._check_empty(tables, create)
            METADATA.create_all(connection)
            connection.execute(store_version.insert().values(schema_version=SCHEMA_VERSION, created_at=wall_clock()))
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA application_id={_APPLICATION_ID}")

    def _set_journal(self) -> None:
        """Both settings stay in the file: only now is it known that the file is ours to change."""
        with self.errors():
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute(f"PRAGMA page_size={_PAGE_BYTES}")
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()

    def _tables(self, connection: sa.Connection) -> list[str]:
        return sorted(sa.inspect(connection).get_table_names())

    def _check_empty(self, tables: list[str], create: bool) -> None:
        if tables:
            shown = ", ".join(tables[:3])
            raise StoreError(f"view store {self.where}: is a database of something else, with tables {shown}")
        if not create:
            raise StoreError(f"view store {self.where}: is empty, it was never written")

    def _check_version(self, connection: sa.Connection) -> None:
        found = connection.execute(sa.select(store_version.c.schema_version)).scalars().all()
        if found != [SCHEMA_VERSION]:
            shown = ", ".join(map(str, found)) or "none"
            raise StoreError(
                f"view store {self.where}: has schema version {shown}, this program reads {SCHEMA_VERSION}"
            )


def _connect_sqlite(connection: Any, _: Any) -> None:
    # The driver must not open transactions by itself: it would begin none before a SELECT.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"cache_size=-{_CACHE_KIB}",
        f"wal_autocheckpoint={_WAL_BYTES // _PAGE_BYTES}",
        f"journal_size_limit={_WAL_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    mode = connection.get_execution_options().get(_MODE, "read")
    # Straight to the driver: a read transaction is as short as that.
    driver: Any = connection.connection.driver_connection
    if mode == "read":
        driver.execute("BEGIN")
        return
    # Only outside of a transaction can the level be set.
    driver.execute(f"PRAGMA synchronous={'FULL' if mode == 'durable' else 'NORMAL'}")
    _begin_immediate(driver)


def _begin_immediate(driver: sqlite3.Connection) -> None:
    """Begin once no other writes: SQLite itself would look again after up to 0.1 s, in which nobody writes."""
    until = time.monotonic() + _BUSY_SECONDS
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(_LOOK_AGAIN)
    finally:
        driver.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
