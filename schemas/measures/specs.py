"""Reads a measure's entry in a definition, its column and parameters, with exact errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from tandem.schemas.columns import RESERVED_PREFIX
from tandem.schemas.errors import DefinitionError
from tandem.schemas.measures.encoding.values import is_numeric, storage_type

__all__ = ["MeasureSpec", "suggestion"]


def suggestion(found: str, allowed: Iterable[str]) -> str:
    """' (did you mean X?)', or '' where no allowed word is close."""
    close = difflib.get_close_matches(found, list(allowed), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


@dataclass(frozen=True)
class MeasureSpec:
    """One measure of a definition: its name and kind, the existing columns, and its parameters as in YAML."""

    name: str
    kind: str
    parameters: Mapping[str, object]
    """The entry's mapping; the kind is one of its keys, whose value is the column."""
    columns: pa.Schema

    def error(self, message: str, *path: str) -> DefinitionError:
        """An error at `measures.NAME.PATH`."""
        return DefinitionError(message, field=".".join(("measures", self.name, *path)))

    def column(self, *, numeric: bool = False) -> tuple[str, pa.DataType]:
        """The measure's column and its storage type."""
        return self.column_at(self.parameters[self.kind], self.kind, numeric=numeric)

    def column_at(self, value: object, *path: str, numeric: bool = False) -> tuple[str, pa.DataType]:
        """The column named `value` and its storage type."""
        name = self.column_name(value, *path)
        found = self.columns.field(name).type
        wanted = (
            "an integer, float or decimal column" if numeric else "a column of plain values (no lists, maps, records)"
        )
        try:
            kind = storage_type(found)
        except TypeError:
            kind = None
        if kind is None or (numeric and not is_numeric(kind)):
            raise self.error(f"column {name} has type {found}; {path[-1]} needs {wanted}", *path)
        return name, kind

    def column_name(self, value: object, *path: str) -> str:
        """The name of an existing column, of any type."""
        if not isinstance(value, str):
            raise self.error(f"{value!r} is not a column; write {{{path[-1]}: COLUMN}}", *path)
        count = len(self.columns.get_all_field_indices(value))
        if count == 0:
            public = [name for name in self.columns.names if not name.startswith(RESERVED_PREFIX)]
            listed = ", ".join(public) or "none"
            raise self.error(f"unknown column {value}{suggestion(value, public)}; columns: {listed}", *path)
        if count > 1:
            raise self.error(f"column {value} is there {count} times; names must be unique", *path)
        return value

    def allow(self, *names: str) -> None:
        """Raise DefinitionError for parameters other than these."""
        allowed = (self.kind, *names)
        for name in self.parameters:
            if name not in allowed:
                takes = f"{self.kind} takes {', '.join(names)}" if names else f"{self.kind} takes no parameters"
                raise self.error(f"unknown parameter {name}{suggestion(str(name), names)}; {takes}", str(name))

    def flag(self, name: str, default: bool) -> bool:
        """A boolean parameter."""
        value = self.parameters.get(name, default)
        if not isinstance(value, bool):
            raise self.error(f"{value!r} is not allowed; true or false is", name)
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number between two bounds, both included."""
        return self.number_at(self.parameters.get(name, default), low, high, name)

    def number_at(self, value: object, low: float, high: float, *path: str) -> float:
        """`value` as a number between two bounds, both included."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.error(f"{value!r} is not allowed; a number from {low:g} to {high:g} is", *path)
        return float(value)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """An integer between two bounds, both included."""
        value = self.parameters.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(f"{value!r} is not allowed; an integer from {low} to {high} is", name)
        return value
