"""Writes answers to an Iceberg table: each write is one commit, of one instant, that replaces all rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tandem.schemas.errors import LaunchError, UserError
from tandem.serving.questions.exports.forms import arrow_batch, arrow_schema

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from tandem.serving.questions.exports.rows import Export
    from tandem.views.answers.all_steps import AnswerRow

__all__ = ["IcebergPlace", "catalog_at", "write_table"]

_ROWS: Final = 200_000
"""Rows of one data file, about."""


@dataclass(frozen=True, slots=True)
class IcebergPlace:
    """A table of a catalog."""

    table: str
    """NAMESPACE.NAME."""
    warehouse: str | None
    """Folder of the data, with a catalog in a SQLite file. None: a catalog of pyiceberg's settings."""
    catalog: str = "tandem"


def catalog_at(place: IcebergPlace) -> Catalog:
    """The catalog. Raises LaunchError without pyiceberg, UserError for one that can't be opened."""
    try:
        from pyiceberg.catalog import load_catalog
    except ModuleNotFoundError as error:
        raise LaunchError(f"{error.name} isn't installed", "pip install 'tandem-beam[iceberg]'") from error
    settings: dict[str, str] = {}
    if place.warehouse is not None:
        if "://" in place.warehouse:
            raise UserError(
                f"--warehouse {place.warehouse}: a folder; --catalog names a catalog of pyiceberg's settings"
            )
        where = place.warehouse
        settings = {"type": "sql", "uri": f"sqlite:///{where}/catalog.db", "warehouse": f"file://{where}"}
    try:
        return load_catalog(place.catalog, **settings)
    except Exception as error:  # pyiceberg has no error type of its own for invalid settings
        raise UserError(f"the Iceberg catalog {place.catalog!r} can't be opened: {error}") from error


def write_table(
    place: IcebergPlace, export: Export, rows: Iterable[list[AnswerRow]], properties: Mapping[str, str]
) -> int:
    """Replace a table's rows in one commit; returns their number. `properties` go into the snapshot.

    A missing table is created; missing columns are added. Raises UserError for an invalid name, and for columns that
    have another type there.
    """
    catalog = catalog_at(place)
    namespace, _, name = place.table.rpartition(".")
    if not namespace or not name:
        raise UserError(f"--table {place.table}: it is NAMESPACE.NAME")
    schema, written = _iceberg_schema(arrow_schema(export)), 0
    catalog.create_namespace_if_not_exists(namespace)
    table = catalog.create_table_if_not_exists(place.table, schema=schema)
    try:
        with table.update_schema() as update:
            update.union_by_name(schema)
        with table.transaction() as transaction:
            if table.current_snapshot() is not None:
                transaction.delete("true", snapshot_properties=dict(properties))
            for batch in _batches(export, rows, schema):
                transaction.append(batch, snapshot_properties=dict(properties))
                written += batch.num_rows
    except (ValueError, TypeError) as error:
        raise UserError(f"{place.table}: these answers don't fit the table: {str(error)[:300]}") from error
    return written


def _batches(export: Export, rows: Iterable[list[AnswerRow]], schema: pa.Schema) -> Iterable[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for some in rows:
        waiting.append(arrow_batch(export, some))
        if sum(batch.num_rows for batch in waiting) >= _ROWS:
            yield _table(waiting, schema)
            waiting = []
    if waiting:
        yield _table(waiting, schema)


def _table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches).cast(schema)


def _iceberg_schema(schema: pa.Schema) -> pa.Schema:
    """The schema in Iceberg's types: instants in UTC, and numbers wider than 38 digits as text."""
    return pa.schema([(field.name, _iceberg_type(field.type)) for field in schema])


def _iceberg_type(kind: Any) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC") if kind.tz else pa.timestamp("us")
    if pa.types.is_decimal256(kind):
        return pa.string()
    if pa.types.is_uint64(kind):
        return pa.decimal128(20, 0)
    return kind
