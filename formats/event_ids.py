"""Builds the event id as one column."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pyarrow as pa

from tandem.formats.avro.types import SourceField
from tandem.schemas.keys import is_key_type, key_texts

__all__ = ["event_ids", "id_type"]


def id_type(fields: Sequence[SourceField]) -> pa.DataType:
    """int64 for a single integer field, else string."""
    return pa.int64() if len(fields) == 1 and pa.types.is_integer(fields[0].arrow) else pa.string()


def event_ids(columns: Sequence[tuple[SourceField, pa.Array]]) -> pa.Array:
    """The ids of columns without nulls: a single integer or string as it is, others as texts of `tandem.schemas.keys`.

    Types that keys can't have are converted: times of day to integers, decimals to text, bytes to base64.
    """
    if len(columns) == 1:
        field, array = columns[0]
        if pa.types.is_integer(field.arrow):
            return array.cast(pa.int64())
        if pa.types.is_string(field.arrow):
            return array
    return key_texts([_keyable(array) for _, array in columns], len(columns[0][1]))


def _keyable(array: pa.Array) -> pa.Array:
    kind = array.type
    if is_key_type(kind):
        return array
    if pa.types.is_time32(kind):
        return array.cast(pa.int32())
    if pa.types.is_time64(kind):
        return array.cast(pa.int64())
    if pa.types.is_decimal(kind):
        return array.cast(pa.string())
    return pa.array([base64.b64encode(value).decode() for value in array.to_pylist()], pa.string())
