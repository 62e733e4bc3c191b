"""Creates the tables and views of a result in BigQuery, and adds the columns of its newer versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from google.api_core.exceptions import Conflict, GoogleAPIError, NotFound
from google.cloud.bigquery import Client, SchemaField, Table

from tandem.schemas.errors import LaunchError, UserError
from tandem.storage.bigquery import client_of

__all__ = ["register_tables"]

_SECONDS: Final = 60.0


def register_tables(resources: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Create the tables and views of `table_resources`; yields a line for each.

    An existing table gets the columns that it lacks. Raises UserError for columns that have another type there,
    LaunchError for what BigQuery refuses.
    """
    for one in resources:
        table, view = Table.from_api_repr(dict(one["table"])), Table.from_api_repr(dict(one["view"]))
        client = client_of(table.project)
        try:
            yield f"{_name(table)}: {_made(client, table)}"
            yield f"{_name(view)}: {_replaced(client, view)}"
        except NotFound as error:
            raise LaunchError(f"dataset {table.project}.{table.dataset_id}: {error.message}", _DATASET) from error
        except GoogleAPIError as error:
            raise LaunchError(f"BigQuery: {_name(table)}: {str(error)[:300]}") from error


_DATASET: Final = "`bq mk --dataset PROJECT:DATASET` makes it"


def _name(table: Table) -> str:
    return f"{table.project}.{table.dataset_id}.{table.table_id}"


def _made(client: Client, wanted: Table) -> str:
    try:
        client.create_table(wanted, timeout=_SECONDS)
    except Conflict:
        return _extended(client, wanted)
    return "created"


def _extended(client: Client, wanted: Table) -> str:
    found = client.get_table(wanted.reference, timeout=_SECONDS)
    schema, added = _joined(found.schema, wanted.schema, f"{_name(wanted)}: ")
    if not added:
        return "is there already"
    found.schema = schema
    client.update_table(found, ["schema"], timeout=_SECONDS)
    return f"has {', '.join(added)} now"


def _joined(
    there: Sequence[SchemaField], wanted: Sequence[SchemaField], place: str
) -> tuple[list[SchemaField], list[str]]:
    """The existing columns followed by missing ones, and the names of the latter; no column is ever removed."""
    by_name, added = {field.name: field for field in there}, list[str]()
    for field in wanted:
        known = by_name.get(field.name)
        if known is None:
            # later columns are null in earlier rows
            by_name[field.name] = _field(field, field.fields, "NULLABLE" if field.mode == "REQUIRED" else field.mode)
            added.append(field.name)
        elif (known.field_type, known.mode == "REPEATED") != (field.field_type, field.mode == "REPEATED"):
            raise UserError(
                f"{place}{field.name} is {known.mode} {known.field_type} there, and would be {field.mode} "
                f"{field.field_type}; send it to another table"
            )
        elif field.field_type == "RECORD":
            inner, more = _joined(known.fields, field.fields, f"{place}{field.name}.")
            by_name[field.name] = _field(known, inner, known.mode)
            added += [f"{field.name}.{name}" for name in more]
    return list(by_name.values()), added


def _field(field: SchemaField, fields: Sequence[SchemaField], mode: str) -> SchemaField:
    return SchemaField(field.name, field.field_type, mode=mode, fields=tuple(fields))


def _replaced(client: Client, view: Table) -> str:
    try:
        client.create_table(view, timeout=_SECONDS)
    except Conflict:
        client.update_table(view, ["view_query", "description"], timeout=_SECONDS)
        return "is the view of now"
    return "created"
