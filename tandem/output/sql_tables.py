"""Prints rows of SQL for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console

from tandem.pipelines.console.printing import say
from tandem.pipelines.console.tables import Column, print_table
from tandem.serving.sql.forms import cell_values

if TYPE_CHECKING:
    from tandem.serving.sql.asking import SqlRows

__all__ = ["print_rows", "say_if_cut"]


def print_rows(to: Console, table: pa.Table) -> None:
    """Print a table, with numbers aligned to the right, and its number of rows."""
    columns = [Column(field.name, right=_is_number(field.type)) for field in table.schema]
    print_table(to, columns, ([_shown(value) for value in row] for row in cell_values(table)), more="name columns")
    to.print(f"  {table.num_rows:,} row{'' if table.num_rows == 1 else 's'}")


def say_if_cut(found: SqlRows) -> None:
    """Print a note on stderr if there are more rows than requested."""
    if not found.whole:
        say(f"these are the first {found.table.num_rows:,} rows; --limit takes more", err=True)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else str(value)
