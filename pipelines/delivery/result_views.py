"""Tables of BigQuery for the messages of a result, and the views over them that show each window and key once."""

from __future__ import annotations

from typing import Any, Final

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.result_messages.bigquery import table_fields
from tandem.schemas.result_messages.columns import message_schema

__all__ = ["table_resources", "view_of"]

_NEWEST: Final = """\
SELECT * FROM `{table}`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY start, TO_JSON_STRING(key) ORDER BY revision DESC) = 1 AND NOT withdrawn"""
_ONCE: Final = """\
SELECT * FROM `{table}`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY id) = 1"""


def table_resources(compiled: CompiledDefinition, name: str) -> list[dict[str, Any]]:
    """For each table of a result {table, view}: resources in the form of BigQuery's API (`bq mk`).

    A table is partitioned by the day of the window's start, so that a query about some days reads only those.
    """
    schema, result = message_schema(compiled, name), compiled.definition.results[name]
    tables = [output.bigquery for output in result.to if output.bigquery is not None]
    return [
        {
            "table": {
                "tableReference": _reference(table),
                "description": f"Revisions of the result {name} of {compiled.definition.name}, by Tandem.",
                "schema": {"fields": table_fields(schema)},
                "timePartitioning": {"type": "DAY", "field": "start"},
            },
            "view": {
                "tableReference": _reference(f"{table}_newest"),
                "description": _about(result.mode, table),
                "view": {"query": view_of(table, result.mode), "useLegacySql": False},
            },
        }
        for table in tables
    ]


def view_of(table: str, mode: str) -> str:
    """The view's SQL: the newest revision of each window and key; for discarding results each revision once, to be
    summed.
    """
    return (_ONCE if mode == "discarding" else _NEWEST).format(table=table)


def _reference(table: str) -> dict[str, str]:
    project, dataset, name = table.split(".")
    return {"projectId": project, "datasetId": dataset, "tableId": name}


def _about(mode: str, table: str) -> str:
    what = (
        "each message once: their sum is the result" if mode == "discarding" else "the newest revision of each window"
    )
    return f"Of {table}: {what}."
