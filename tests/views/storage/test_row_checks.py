"""Every row of every table carries a checksum that is checked when it is read, and kept when SQL changes the row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tandem.schemas.errors import DamagedStoreError
from tandem.views.results.tables import result_due
from tandem.views.storage.checksums import AS_IT_IS, checked_states, crc_of, sealed_row, state_crc
from tandem.views.storage.columns import CRC, METADATA
from tandem.views.storage.driver_rows import whole_rows
from tandem.views.storage.tables import batch_states, live_states, store_version
from tandem.views.store import ViewStore

ALL_DUE = sa.text("SELECT * FROM result_due ORDER BY tile")
STATES = [batch_states, live_states]
SEALED = [table for table in METADATA.sorted_tables if table is not store_version]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ViewStore]:
    store = ViewStore(str(tmp_path / "views.db"))
    yield store
    store.close()


def value_of(column: sa.Column[Any], more: int = 0) -> Any:
    if isinstance(column.type, sa.LargeBinary):
        return b"bytes" + bytes([more])
    if isinstance(column.type, sa.JSON):
        return [{"number": more}]
    if isinstance(column.type, sa.Boolean):
        return bool(more)
    return 3 + more if isinstance(column.type, sa.Integer | sa.BigInteger) else f"text {more}"


def read(store: ViewStore, table: sa.Table) -> list[Any]:
    with store.database.read() as connection:
        rows = connection.execute(sa.select(table)).all()
        return list(checked_states(table.name, rows)) if table in STATES else list(rows)


CASES = [pytest.param(table, column, id=f"{table.name}.{column.name}") for table in SEALED for column in table.columns]


@pytest.mark.parametrize(("table", "column"), CASES)
def test_a_changed_value_is_noticed_when_it_is_read(store: ViewStore, table: sa.Table, column: sa.Column[Any]) -> None:
    values = {c.name: value_of(c) for c in table.columns if "crc" not in c.name}
    with store.database.write() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("COMMIT")
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("BEGIN IMMEDIATE")
        if table in STATES:
            rows = [sealed_row(table.name, *values.values())]
            store.database.write_rows(connection, store.database.insert(table), rows)
        else:
            connection.execute(table.insert().values(values))
    assert len(read(store, table)) == 1
    changed = value_of(column, 1)
    with closing(sqlite3.connect(str(store.database.where))) as other:
        stored = '[{"number": 1}]' if isinstance(column.type, sa.JSON) else changed
        other.execute(f'UPDATE {table.name} SET "{column.name}" = ?', (stored,))
        other.commit()
    with pytest.raises(DamagedStoreError, match=f"a row of {table.name.replace('_', ' ')} .* is damaged") as error:
        read(store, table)
    assert "tandem rebuild" in str(error.value)
    assert "\n" not in str(error.value)
    if table not in STATES:  # they are never changed by SQL
        same = table.update().values({c.name: c for c in table.columns if c.name != CRC})
        with pytest.raises(DamagedStoreError), store.database.write() as connection:
            connection.execute(same)


def test_as_it_is_a_damaged_row_can_be_read(store: ViewStore) -> None:
    table = METADATA.tables["batch_cleared"]
    with closing(sqlite3.connect(str(store.database.where))) as other:
        other.execute("INSERT INTO batch_cleared VALUES (1, 2, 3, 4)")
        other.commit()
    with store.database.read() as connection:
        assert connection.execute(sa.select(table.alias(AS_IT_IS))).all() == [(1, 2, 3, 4)]
    with pytest.raises(DamagedStoreError), store.database.read() as connection:
        connection.execute(sa.select(sa.select(table).subquery().c.tile)).all()


def test_rows_that_changed_places_are_noticed() -> None:
    rows = [sealed_row("batch_states", 1, key, 60, 1, 2, b"states") for key in ("a", "b")]
    swapped = [(*a[:5], *b[5:]) for a, b in zip(rows, reversed(rows), strict=True)]
    with pytest.raises(DamagedStoreError):
        list(checked_states("batch_states", swapped))
    with pytest.raises(DamagedStoreError):
        list(checked_states("live_states", rows))
    assert list(checked_states("batch_states", rows)) == rows


def test_a_row_of_which_nothing_is_left_is_noticed() -> None:
    with pytest.raises(DamagedStoreError):
        list(checked_states("batch_states", [(None,) * 7]))


def test_both_ways_to_compute_a_checksum_agree() -> None:
    row = (1, "a key\0é", -60, 2**60, 5, b"\0states")
    assert state_crc("live_states", *row) == crc_of("live_states", row)


def test_many_rows_that_are_read_at_once_are_intact(store: ViewStore) -> None:
    rows = [("visits", tile, 0, "[]", 5) for tile in range(3)]
    with store.database.write() as connection:
        store.database.write_rows(connection, store.database.insert_new(result_due), rows)
    with store.database.read() as connection:
        assert whole_rows(connection, result_due, ALL_DUE, {}) == rows
    with store.database.write() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("DROP TRIGGER result_due_crc_changed")
        driver.execute("UPDATE result_due SET mark = 6 WHERE tile = 1")
    wanted = r"a row of result due \(name visits, tile 1970-01-01T00:00:00.000001Z, .*\) is damaged"
    with pytest.raises(DamagedStoreError, match=wanted), store.database.read() as connection:
        whole_rows(connection, result_due, ALL_DUE, {})


@pytest.mark.parametrize("fails", [False, True])
def test_what_sql_inserts_after_many_rows_is_sealed(store: ViewStore, fails: bool) -> None:
    rows = [("visits", tile, 0, "[]", 5) for tile in range(1_000)]
    wrong = [("visits", 1_000, 0, "[]", object())] if fails else []
    with store.database.write() as connection:
        with pytest.raises(Exception, match="type 'object'") if fails else nullcontext():
            store.database.write_rows(connection, store.database.insert_new(result_due), [*rows, *wrong])
        connection.execute(result_due.insert(), {"name": "other", "tile": 1, "whole": 1, "key": "", "mark": 7})
    with store.database.read() as connection:
        assert whole_rows(connection, result_due, ALL_DUE, {})[1] in (("other", 1, 1, "", 7), rows[1])
        assert len(connection.execute(sa.select(result_due)).all()) == len(rows) + 1
