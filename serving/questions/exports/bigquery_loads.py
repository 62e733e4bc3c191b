"""Loads answers into a BigQuery table: one load job, which is free of charge, replaces all rows in one step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from tandem.schemas.errors import LaunchError, UserError
from tandem.schemas.result_messages.bigquery import table_arrow_schema, table_fields, table_rows
from tandem.serving.questions.exports.forms import arrow_batch, arrow_schema
from tandem.storage.bigquery import client_of

if TYPE_CHECKING:
    from google.cloud.bigquery import LoadJobConfig

    from tandem.serving.questions.exports.rows import Export
    from tandem.views.answers.all_steps import AnswerRow

__all__ = ["load_table", "loading", "table_schema", "write_loaded"]


def load_table(table: str, export: Export, rows: Iterable[Sequence[AnswerRow]]) -> int:
    """Replace a table's rows by these, in one job; returns their number. A missing table is created.

    `table`: PROJECT.DATASET.TABLE. Raises LaunchError without credentials and for BigQuery's refusals, UserError for a
    value that its types can't hold: then the old rows stay.
    """
    from google.api_core.exceptions import GoogleAPIError

    schema = table_schema(export)
    config = loading(table_fields(schema))
    with tempfile.TemporaryFile() as file:
        written = write_loaded(file, export, rows, schema)
        file.seek(0)
        try:
            client = client_of(table.split(".")[0])
            client.load_table_from_file(file, table, job_config=config, rewind=True).result()
        except GoogleAPIError as error:
            raise LaunchError(f"BigQuery: {table}: {str(error)[:300]}") from error
    return written


def table_schema(export: Export, added: Sequence[pa.Field] = ()) -> pa.Schema:
    """The columns of an export, and further ones after them; a name that is taken gets `_2` in the table."""
    return pa.schema([*arrow_schema(export), *added])


def loading(fields: Sequence[Mapping[str, Any]]) -> LoadJobConfig:
    """A job that replaces all rows; lists of Parquet become repeated columns, not records of a list."""
    from google.cloud.bigquery import LoadJobConfig, SchemaField, SourceFormat, WriteDisposition
    from google.cloud.bigquery.format_options import ParquetOptions

    options = ParquetOptions()
    options.enable_list_inference = True
    config = LoadJobConfig(
        source_format=SourceFormat.PARQUET,
        write_disposition=WriteDisposition.WRITE_TRUNCATE,
        schema=[SchemaField.from_api_repr(dict(field)) for field in fields],
    )
    config.parquet_options = options
    return config


def write_loaded(
    file: IO[bytes],
    export: Export,
    rows: Iterable[Sequence[AnswerRow]],
    schema: pa.Schema,
    added: Callable[[AnswerRow], Mapping[str, Any]] | None = None,
) -> int:
    """Write rows as the Parquet file to load, with BigQuery's names and types; returns their number.

    `added`: by row the values of those columns of `schema` that aren't the export's.
    """
    plain, count = arrow_schema(export), 0
    with parquet.ParquetWriter(file, table_arrow_schema(schema), compression="zstd") as writer:
        for some in rows:
            values = arrow_batch(export, some, plain).to_pylist()
            if added is not None:
                values = [{**value, **added(row)} for value, row in zip(values, some, strict=True)]
            try:
                writer.write_batch(table_rows(schema, values))
            except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
                raise UserError(f"BigQuery's types can't hold these answers: {str(error)[:200]}") from error
            count += len(some)
    return count
