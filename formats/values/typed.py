"""Reads typed columns of Parquet and Avro where the source's options say more of a value than its column's type.

Texts are parsed as in CSV and JSON: always for times and dates, for other fields where a spelling is declared. So are
numbers whose meaning depends on their digits.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.types import SourceField
from tandem.formats.dead_letters.verdicts import Verdicts
from tandem.formats.json.fields import is_read_from_text
from tandem.formats.values.casting import INTEGER
from tandem.formats.values.texts import column_of_text, without_nulls

__all__ = ["column_of_typed", "is_read_as_text", "is_text", "without_markers"]

_NUMBER: Final = re.compile(INTEGER.removesuffix("$") + r"(\.[0-9]+)?$")


def is_text(kind: pa.DataType) -> bool:
    """Whether columns of this type hold texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_read_as_text(kind: pa.DataType, field: SourceField) -> bool:
    """Whether values of a column of this type are parsed from their texts."""
    of, wanted, logical = pa.types, field.arrow, field.type.value.logical
    if is_text(kind):
        return is_read_from_text(field) or logical == "date" or "time" in logical
    if not is_read_from_text(field):
        return False
    if of.is_integer(kind):
        return of.is_boolean(wanted) or (field.spelling.pattern is not None and logical != "")
    if of.is_floating(kind) or of.is_decimal(kind):
        whole = of.is_integer(wanted) and field.spelling.exact_integers
        return whole or (of.is_timestamp(wanted) and bool(field.spelling.unit))
    return False


def column_of_typed(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The column in the field's type, parsed from its texts; marks values that can't be parsed."""
    text = column.cast(pa.string())
    if field.spelling.decimal_comma and not is_text(column.type):
        text = pc.replace_substring(text, ".", ",")
    return column_of_text(text.cast(pa.binary()), field, verdicts)


def without_markers(column: pa.Array, field: SourceField) -> pa.Array:
    """The column with null for the source's null markers, texts or numbers."""
    nulls = field.spelling.nulls
    if not nulls:
        return column
    if pa.types.is_float16(column.type):  # Arrow can't look for values of this type
        column = column.cast(pa.float32())
    kind = column.type
    if pa.types.is_string(kind):
        return without_nulls(column, field)
    if not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        return column
    markers = [float(text) for text in nulls if _NUMBER.match(text)]
    if pa.types.is_integer(kind):
        low, high = pc.min_max(column).as_py().values()
        markers = [
            int(text) for text in nulls if re.match(INTEGER, text) and low is not None and low <= int(text) <= high
        ]
    found = pc.is_in(column, value_set=pa.array(markers, kind))
    return pc.if_else(found, pa.scalar(None, kind), column)
