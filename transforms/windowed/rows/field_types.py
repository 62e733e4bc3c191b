"""Maps types of fields between three systems: Python's, as in a NamedTuple, Arrow's, and those of Beam's schemas."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Final, Optional, TypeAlias

import numpy as np
import pyarrow as pa
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp

from tandem.schemas.errors import DefinitionError
from tandem.schemas.results import result_type

if typing.TYPE_CHECKING:
    from tandem.schemas.measures.base import Measure

__all__ = ["Fields", "arrow_fields", "beam_type", "fields_of_rows", "measure_type"]

Fields: TypeAlias = pa.Schema | Mapping[str, Any] | type
"""The columns of events: an Arrow schema, types by name (`{"page": str, "amount": float | None}`), or a NamedTuple."""

_UTC: Final = pa.timestamp("us", "UTC")
_ARROW: Final[Mapping[Any, pa.DataType]] = {
    str: pa.string(),
    bytes: pa.binary(),
    bool: pa.bool_(),
    np.bool_: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    np.int8: pa.int8(),
    np.int16: pa.int16(),
    np.int32: pa.int32(),
    np.int64: pa.int64(),
    np.float32: pa.float32(),
    np.float64: pa.float64(),
    Decimal: pa.decimal128(38, 9),
    Timestamp: _UTC,
    datetime: _UTC,
    date: pa.date32(),
}
_SPELLED: Final[Mapping[str, pa.DataType]] = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "timestamp": _UTC,
    "date": pa.date32(),
    "decimal": pa.decimal128(38, 9),
}


def arrow_fields(fields: Fields) -> pa.Schema:
    """The columns as an Arrow schema; a field that may be None is nullable. Types may be texts, too: `number?`.

    >>> arrow_fields({"page": str, "amount": float | None})
    page: string not null
    amount: double

    Raises DefinitionError for an unsupported type.
    """
    if isinstance(fields, pa.Schema):
        return fields
    named = fields if isinstance(fields, Mapping) else typing.get_type_hints(fields)
    return pa.schema([_field(str(name), hint) for name, hint in named.items()])


def fields_of_rows(element_type: Any) -> pa.Schema | None:
    """The columns of a PCollection of Beam rows or NamedTuples; None for other element types."""
    if isinstance(element_type, RowTypeConstraint):
        return pa.schema([_field(name, hint) for name, hint in element_type._fields])
    named = isinstance(element_type, type) and RowTypeConstraint.from_user_type(element_type) is not None
    return arrow_fields(element_type) if named else None


def _field(name: str, hint: Any) -> pa.Field:
    if isinstance(hint, pa.DataType):
        return pa.field(name, hint)
    if isinstance(hint, str):
        kind, nullable = _SPELLED.get(hint.removesuffix("?")), hint.endswith("?")
        allowed = f"{', '.join(_SPELLED)}, each with ? behind it where it may be missing"
    else:
        inner, nullable = _optional(hint)
        kind, allowed = _ARROW.get(inner), ", ".join(one.__name__ for one in _ARROW)
    if kind is None:
        raise DefinitionError(f"{hint!r} is no type of a column; allowed: {allowed}", field=f"fields.{name}")
    return pa.field(name, kind, nullable)


def _optional(hint: Any) -> tuple[Any, bool]:
    """(the type without None, whether None is allowed), for Python's unions and Beam's."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        members = set(typing.get_args(hint))
    else:
        members = set(getattr(hint, "union_types", ())) or {hint}
    inner = members - {NoneType}
    return (inner.pop() if len(inner) == 1 else hint), NoneType in members


def beam_type(kind: pa.DataType, nullable: bool = True) -> Any:
    """The type of a column's values in a Beam row; dates and times of day are strings."""
    inner = _beam_type(kind)
    return Optional[inner] if nullable else inner  # noqa: UP045 - Any has no |


def _beam_type(kind: pa.DataType) -> Any:
    types = pa.types
    if types.is_boolean(kind):
        return bool
    if types.is_integer(kind):
        return int
    if types.is_floating(kind):
        return float
    if types.is_decimal(kind):
        return Decimal
    if types.is_binary(kind):
        return bytes
    if types.is_timestamp(kind) and kind.tz:
        return Timestamp
    if types.is_list(kind):
        return Sequence[beam_type(kind.value_type, False)]  # type: ignore[misc]
    if types.is_struct(kind):
        return RowTypeConstraint.from_fields([(field.name, beam_type(field.type)) for field in kind])
    return str


def measure_type(measure: Measure) -> Any:
    """The type of a measure's results in a Beam row; quantiles are a mapping, results of a custom measure their
    text.
    """
    kind = result_type(measure)
    if kind is None:
        return str
    if pa.types.is_struct(kind):
        return Optional[Mapping[str, Optional[float]]]  # noqa: UP045
    counted = measure.kind in ("count", "distinct", "approx_distinct")
    return beam_type(kind, nullable=not counted and not pa.types.is_list(kind))
