"""Opens the store's database, runs its transactions, and turns its errors into one line."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import DamagedStoreError, StoreError
from tandem.schemas.failpoints import reached
from tandem.schemas.privacy.secrets import redacted
from tandem.views.locking.sessions import limit_waits, oldest_session, server_engine
from tandem.views.locking.waiting import BUSY_SECONDS, holder_of, keep_log_beside
from tandem.views.storage.address import insert_of, parse_address, shown_address
from tandem.views.storage.checkpointing import Checkpointer
from tandem.views.storage.checksums import STATES, DamagedRowError, crc_of, damage_met, insert_sealed
from tandem.views.storage.columns import METADATA
from tandem.views.storage.commit_marks import CommitMark, Commits
from tandem.views.storage.sqlite import (
    APPLICATION_ID,
    MODE,
    PAGE_BYTES,
    begin_sqlite,
    check_file,
    closed_to_us,
    connect_sqlite,
    damage_of,
)
from tandem.views.storage.tables import SCHEMA_VERSION, store_version
from tandem.views.storage.versions import THIS, refused

__all__ = ["Clock", "Database", "wall_clock"]

Clock = Callable[[], int]
"""Wall clock: microseconds since 1970-01-01 UTC."""

_REMEDY: Final = "`tandem reconcile` repairs rows of batch, `tandem rebuild` makes the store anew"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_CREATION_LOCK: Final = 7_226_841_603


def wall_clock() -> int:
    """The machine's clock in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


class Database:
    """One SQL database that holds a view store. Safe to use from several threads; open one per process."""

    def __init__(self, url: str, *, create: bool = True, versions: Collection[int] = THIS) -> None:
        """Open `sqlite:///PATH`, a plain path, or `postgresql://...`, with one of these schema versions; create the
        tables where `create` allows it.

        Raises StoreError for a missing file (without `create`), a damaged or foreign database, or a store of another
        schema version.
        """
        self.url = parse_address(url)
        self._statements: dict[Hashable, Any] = {}
        self._texts: dict[int, str] = {}  # by the id of a statement that is kept alive
        self._versions = versions
        self.where = self.url.database if self.is_sqlite else shown_address(self.url)
        self._is_new = self.is_sqlite and check_file(self.url.database, create)
        self._checkpointer = Checkpointer(str(self.url.database)) if self.is_sqlite else None
        self._mark = CommitMark(str(self.url.database)) if self.is_sqlite else None
        with self.errors():
            self.engine = self._engine()
        try:
            self._prepare(create)
        except BaseException:
            self.engine.dispose()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded store, in a file."""
        return self.url.get_backend_name() == "sqlite"

    def insert(self, table: sa.Table) -> Any:
        """The dialect's INSERT, which has ON CONFLICT."""
        return insert_of(self.url.get_backend_name())(table)

    def made(self, build: Callable[[Database], Any]) -> Any:
        """The INSERT of all columns that a module's function builds, built and compiled once."""
        return self._kept(build, lambda: build(self))

    def insert_new(self, table: sa.Table) -> Any:
        """INSERT of all columns that leaves existing rows unchanged."""
        return self._kept(("new", table.name), lambda: self.insert(table).on_conflict_do_nothing())

    def replace(self, table: sa.Table) -> Any:
        """INSERT of all columns that replaces existing rows."""

        def build() -> Any:
            insert = self.insert(table)
            values = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
            return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)

        return self._kept(("replace", table.name), build)

    def overwrite(self, table: sa.Table) -> Any:
        """As `replace`, cheaper in SQLite: the existing row is deleted instead of changed, so its checksum isn't
        verified.
        """
        if not self.is_sqlite:
            return self.replace(table)
        return self._kept(("overwrite", table.name), lambda: self.insert(table).prefix_with("OR REPLACE"))

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
        """One read transaction, with all reads of one instant."""
        with self.errors(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(**{MODE: "read"})
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        """One write transaction; `durable`: on disk before it returns, even through a loss of power."""
        with self.errors(), self.engine.connect() as connection:
            connection = connection.execution_options(**{MODE: "durable" if durable else "write"})
            with connection.begin():
                if not self.is_sqlite:
                    limit_waits(connection)
                yield connection
                number = self._counted(connection)
                reached("before-commit")
            reached("after-commit")
        if self._mark is not None:
            self._mark.note(*number, durable)
        if self._checkpointer is not None:
            self._checkpointer.look()

    def _counted(self, connection: sa.Connection) -> tuple[int, int]:
        """Count a transaction in its store: (the store, the transaction's number)."""
        if not self.is_sqlite:
            return 0, 0
        with self._cursor(connection) as cursor:
            cursor.execute(f"UPDATE {store_version.name} SET commits = commits + 1")
            store, commits = cursor.execute(f"SELECT created_at, commits FROM {store_version.name}").fetchone()
        return int(store), int(commits)

    def write_rows(self, connection: sa.Connection, statement: Any, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run an INSERT for many rows, tuples in the order of the table's columns.

        Adds checksums, except to rows of states, which bring theirs.
        """
        rows = rows if isinstance(rows, Iterator) else iter(rows)
        first = next(rows, None)
        if first is None:
            return
        rows, table = chain((first,), rows), statement.table.name
        if table not in STATES:
            rows = ((*row, crc_of(table, row)) for row in rows)
        if self.is_sqlite:
            # Straight to the driver: binding every value of every row by name takes as long as SQLite does.
            text = self._texts.get(id(statement)) or self._text(statement)
            with self._cursor(connection) as cursor:
                insert_sealed(cursor, text, statement.table, rows)
        else:
            names = [column.name for column in statement.table.columns]
            connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        reached("mid-upsert")

    @contextmanager
    def _cursor(self, connection: sa.Connection) -> Iterator[Any]:
        """The driver's own cursor: it takes rows as a stream, where SQLAlchemy would hold them all."""
        cursor = connection.connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of the driver into StoreErrors of one line."""
        try:
            yield
        except DamagedRowError as error:
            raise DamagedStoreError(f"view store {self.where}: {error}; {_REMEDY}") from error
        except (sa.exc.SQLAlchemyError, self._driver_error(), UnicodeDecodeError) as error:
            cause = getattr(error, "orig", None) or error
            lines = str(cause).splitlines() or [type(cause).__name__]
            if (damage := damage_met() or damage_of(cause)) is not None:
                raise DamagedStoreError(f"view store {self.where}: {damage}; {_REMEDY}") from error
            if getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                lines[0] = closed_to_us(str(self.url.database)) or lines[0]
            raise StoreError(f"view store {self.where}: {redacted(lines[0])}{self._holder(cause)}") from error

    def _driver_error(self) -> type[Exception]:
        """The driver's base error, raised where statements bypass SQLAlchemy."""
        driver: Any = self.engine.dialect.dbapi
        found: type[Exception] = driver.Error
        return found

    def _holder(self, cause: BaseException) -> str:
        """The holder of a lock whose wait timed out."""
        holder = ""
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            holder = holder_of(str(self.url.database))
        elif getattr(cause, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            with suppress(sa.exc.SQLAlchemyError):
                holder = oldest_session(self.engine)
        return f" by {holder}" if holder else ""

    def close(self) -> None:
        """Close all connections."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        self.engine.dispose()

    def _engine(self) -> sa.Engine:
        if not self.is_sqlite:
            return server_engine(self.url)
        engine = sa.create_engine(self.url, connect_args={"timeout": BUSY_SECONDS}, max_overflow=32)
        sa.event.listen(engine, "connect", connect_sqlite)
        sa.event.listen(engine, "begin", begin_sqlite)
        return engine

    def _prepare(self, create: bool) -> None:
        """Check that this is a store of our version, or create one in an empty database."""
        known = self._known()
        with self.read() as connection:
            tables = self._tables(connection)
            if store_version.name in tables:
                self._check_version(connection, known)
        if store_version.name in tables:
            return
        self._check_empty(tables, create, known)
        if self.is_sqlite:
            self._set_journal()
        known = self._known()
        with self.write(durable=True) as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
            tables = self._tables(connection)
            if store_version.name in tables:  # another process was faster
                self._check_version(connection, known)
                return
            self._check_empty(tables, create, known)
            METADATA.create_all(connection)
            made = {"schema_version": SCHEMA_VERSION, "created_at": wall_clock(), "id": secrets.token_hex(8)}
            connection.execute(store_version.insert().values(made))
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")

    def _known(self) -> Commits | None:
        return None if self._mark is None else self._mark.known()

    def _set_journal(self) -> None:
        """Set the page size and the log of changes: both stay in the file, so only once it is known to be ours."""
        with self.errors():
            connection = self.engine.raw_connection()
            try:
                driver: Any = connection.driver_connection
                driver.execute(f"PRAGMA page_size={PAGE_BYTES}")
                keep_log_beside(driver, str(self.url.database))
            finally:
                connection.close()

    def _tables(self, connection: sa.Connection) -> list[str]:
        return sorted(sa.inspect(connection).get_table_names())

    def _check_empty(self, tables: list[str], create: bool, known: Commits | None) -> None:
        if self._mark is not None and not tables and not self._is_new:
            self._mark.check_empty(known)
        if tables:
            shown = ", ".join(tables[:3])
            raise StoreError(f"view store {self.where}: is a database of something else, with tables {shown}")
        if not create:
            raise StoreError(f"view store {self.where}: is empty, it was never written")

    def _check_version(self, connection: sa.Connection, known: Commits | None) -> None:
        """Raises StoreError for a store that can't be read."""
        found = connection.execute(sa.select(store_version.c.schema_version)).scalars().all()
        if len(found) == 1 and found[0] in self._versions:
            if self._mark is not None:
                store = connection.execute(sa.select(store_version.c.created_at, store_version.c.commits)).one()
                self._mark.check(known, *store)
            return
        raise refused(self.where, found)
