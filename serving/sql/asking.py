"""Runs one statement; all rows are of one instant of the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import TandemError, UserError
from tandem.schemas.privacy.secrets import redacted
from tandem.serving.sql.answer_table import answer_table
from tandem.serving.sql.event_table import event_table
from tandem.serving.sql.fixed_tables import FIXED_TABLES, fixed_table
from tandem.serving.sql.relation import Reading, Relation
from tandem.serving.sql.sandbox import sandbox
from tandem.serving.sql.statements import ANSWERS, Asked, Statement, parsed

if TYPE_CHECKING:
    from tandem.serving.sql.source import SqlSource

__all__ = ["SqlLimits", "SqlRows", "ask_sql"]

_AT_ONCE: Final = 8_192


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """The limits of a statement."""

    rows: int = 1_000_000
    """Rows of its result; further ones are left out, and the result says so."""
    seconds: float = 300.0
    memory: int = 1 << 30
    """Bytes of memory."""
    threads: int = 2
    length: int = 100_000
    """Characters of the statement."""


@dataclass(frozen=True, slots=True)
class SqlRows:
    """The result of a statement."""

    table: pa.Table
    whole: bool
    """Whether these are all rows."""


def ask_sql(source: SqlSource, sql: str, limits: SqlLimits) -> SqlRows:
    """The rows of one SELECT. Raises UserError for an invalid statement, and errors of reading its tables."""
    if len(sql) > limits.length:
        raise UserError(f"SQL: {len(sql):,} characters; at most {limits.length:,}")
    if not sql.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in sql):
        raise UserError("SQL: half of a surrogate pair stands alone in it, which is no text")
    reading = Reading()
    with source.store.at_one_instant() as store, sandbox(limits.memory, limits.threads) as connection:
        statement = parsed(connection, sql)
        for name, relation in _tables(replace(source, store=store), statement, reading).items():
            connection.register(name, relation)
        try:
            with _at_most(connection, limits.seconds):
                return _rows(connection, statement.sql, limits.rows)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _stated(error, reading, limits) from None
        finally:
            reading.close()


def _tables(source: SqlSource, statement: Statement, reading: Reading) -> dict[str, Relation]:
    """All tables by name: an unread one costs no more than its columns."""
    for each in statement.asked:
        if each.definition not in source.names:
            raise UserError(f"SQL: no definition {each.definition!r}; {suggestion(each.definition, source.names)}")
    found = dict(_by_tile(source, statement, reading))
    found |= {name: fixed_table(source, name, reading) for name in FIXED_TABLES}
    for each in statement.asked:
        made = answer_table(source, each, reading) if each.function == ANSWERS else None
        found[each.table] = made or event_table(source, each.definition, reading)
    return found


def _by_tile(source: SqlSource, statement: Statement, reading: Reading) -> Iterator[tuple[str, Relation]]:
    """The table of every definition; one that can't be read any more fails only statements that name it."""
    for name in source.names:
        try:
            yield name, answer_table(source, Asked(ANSWERS, name), reading)
        except UserError:
            if name in statement.tables:
                raise


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, most: int) -> SqlRows:
    reader = connection.sql(sql).to_arrow_reader(_AT_ONCE)
    batches, count = list[pa.RecordBatch](), 0
    for batch in reader:
        batches.append(batch.slice(0, most - count))
        count += batch.num_rows
        if count > most:
            break
    return SqlRows(pa.Table.from_batches(batches, schema=reader.schema), count <= most)


@contextmanager
def _at_most(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt a statement that takes longer."""
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stated(error: Exception, reading: Reading, limits: SqlLimits) -> TandemError:
    """The error of a statement: that of a table takes precedence over DuckDB's message."""
    if isinstance(reading.error, TandemError):
        return reading.error
    if isinstance(error, duckdb.InterruptException):
        return UserError(f"SQL: no answer within {limits.seconds:g} seconds; ask for less, by key and time")
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(f"SQL: the statement needs more than {limits.memory >> 20} MiB; ask for less")
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return UserError(f"SQL: {redacted(line)}")
