"""The canonical key of an event: a JSON array of the key columns' values, in the definition's order, as text.

Equal values have equal texts and different values different ones: `["JFK","UA"]`, `[1545,null,true]`,
`["2013-01-31T17:05:00Z"]`. Integers are numbers; strings are escaped only where JSON requires it; dates are
`2013-01-31`; timestamps are ISO 8601 in UTC, with up to six digits of a fraction, without trailing zeros (local
timestamps the same, without the Z). Floats can't be keys: several of their texts stand for one value.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.errors import UserError

__all__ = ["KEY_DICTIONARY", "KEY_TYPES", "is_key_type", "key_dictionary", "key_texts", "parse_key"]

KEY_TYPES: Final = "boolean, bigint, varchar, date and timestamp"

KEY_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())
"""The type of columns.KEY in batches of events; blocks of states have plain strings."""

_ESCAPED: Final = r'["\\\x00-\x1f]'
_LOCAL: Final = pa.timestamp("us")
_FEW: Final = 1_000


def is_key_type(data_type: pa.DataType) -> bool:
    """Whether a column of this type can be part of a key."""
    return bool(
        pa.types.is_boolean(data_type)
        or pa.types.is_integer(data_type)
        or pa.types.is_string(data_type)
        or pa.types.is_date32(data_type)
        or pa.types.is_timestamp(data_type)
    )


def key_texts(columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """The canonical keys (string, never null) of key columns of `rows` rows each; `[]` without columns.

    Raises TypeError for a column whose type can't be part of a key.
    """
    few = _few_texts(columns, rows)
    return _joined([_json_texts(column) for column in columns]) if few is None else few.dictionary_decode()


def key_dictionary(columns: Sequence[pa.Array], rows: int) -> pa.DictionaryArray:
    """`key_texts` as KEY_DICTIONARY: most keys repeat, and codes cost less to move than strings."""
    few = _few_texts(columns, rows)
    return _joined([_json_texts(column) for column in columns]).dictionary_encode() if few is None else few


def _few_texts(columns: Sequence[pa.Array], rows: int) -> pa.DictionaryArray | None:
    """The keys, each joined once instead of once a row; None where there may be too many distinct ones."""
    if not columns:
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(["[]"]))
    encoded = [pc.dictionary_encode(column, null_encoding="encode") for column in columns]
    combinations = math.prod(len(column.dictionary) for column in encoded)
    if not rows or combinations > max(_FEW, rows // 2):
        return None
    codes = np.zeros(rows, np.int64)
    for column in encoded:
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
    places = np.full(combinations, -1, np.int64)
    places[codes] = np.arange(rows)
    seen = np.flatnonzero(places >= 0)
    texts = _joined([_json_texts(column.take(pa.array(places[seen]))) for column in columns])
    places[seen] = np.arange(len(seen))
    return pa.DictionaryArray.from_arrays(places[codes].astype(np.int32), texts)


def _joined(texts: Sequence[pa.Array]) -> pa.Array:
    parts: list[Any] = [pa.scalar("[")]
    for index, column in enumerate(texts):
        if index:
            parts.append(pa.scalar(","))
        parts.append(pc.fill_null(column, "null"))
    return pc.binary_join_element_wise(*parts, pa.scalar("]"), pa.scalar(""))


def _json_texts(column: pa.Array) -> pa.Array:
    """The JSON text of each value, null for null."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_date32(kind):
        return _quoted(pc.cast(column, pa.string()))
    if pa.types.is_timestamp(kind):
        text = pc.replace_substring(pc.cast(pc.cast(column, _LOCAL), pa.string()), " ", "T", max_replacements=1)
        text = pc.utf8_rtrim(pc.utf8_rtrim(text, characters="0"), characters=".")
        return _quoted(text, "Z" if kind.tz else "")
    if not pa.types.is_string(kind):
        raise TypeError(f"a column of type {kind} can't be part of a key")
    if not pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        return _quoted(column)
    texts = [None if text is None else json.dumps(text, ensure_ascii=False) for text in column.to_pylist()]
    return pa.array(texts, pa.string())


def _quoted(texts: pa.Array, suffix: str = "") -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar('"'), texts, pa.scalar(f'{suffix}"'), pa.scalar(""))


def parse_key(fields: Sequence[pa.Field], values: str | Sequence[str] | Mapping[str, str]) -> str:
    """The canonical key for the key columns `fields`, from a user's text or values.

    A string is a JSON array or object, or `NAME=VALUE,...` that names every column, or `VALUE,...` in the columns'
    order (quoted as in CSV where a value holds a comma). A sequence holds the values in the columns' order, a mapping
    by name. Only JSON can express null. Raises UserError.
    """
    found = _values(fields, values)
    columns = []
    for field, value in zip(fields, found, strict=True):
        columns.append(_typed(field, value))
    texts = [_plain_text(column) for column in columns]
    return str(key_texts(columns, 1)[0].as_py()) if None in texts else f"[{','.join(map(str, texts))}]"


def _plain_text(column: pa.Array) -> str | None:
    """The JSON text of the only value of a column, without Arrow's functions; None for dates and times."""
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return None
    return json.dumps(column[0].as_py(), ensure_ascii=False)


def _values(fields: Sequence[pa.Field], values: str | Sequence[str] | Mapping[str, str]) -> list[Any]:
    names = [field.name for field in fields]
    parsed: Any = _parse_text(names, values) if isinstance(values, str) else values
    if isinstance(parsed, Mapping):
        wrong = sorted(set(parsed) ^ set(names))
        if wrong:
            problem = "is missing" if wrong[0] in names else "is not a column of the key"
            raise UserError(f"key {values!r}: '{wrong[0]}' {problem}; the key is {_listed(names)}")
        return [parsed[name] for name in names]
    if len(parsed) != len(names):
        raise UserError(f"key {values!r} has {len(parsed)} values, the key has {len(names)}: {_listed(names)}")
    return list(parsed)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "empty: all events are under one key"


def _parse_text(names: Sequence[str], text: str) -> Any:
    if text.lstrip().startswith(("[", "{")):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"key {text!r} is not JSON: {error}") from None
        return parsed
    if not text and len(names) != 1:
        return []
    try:
        parts = next(csv.reader([text], strict=True), []) or [""]
    except csv.Error as error:
        raise UserError(f"key {text!r} is not a list of values: {error}") from None
    pairs = [part.partition("=") for part in parts]
    if pairs and all(sign and name.strip() in names for name, sign, _ in pairs):
        named = {name.strip(): value for name, _, value in pairs}
        if len(named) < len(pairs):
            raise UserError(f"key {text!r} names a column twice")
        return named
    return parts


def _typed(field: pa.Field, value: Any) -> pa.Array:
    """One value of a key column, from its text or from JSON."""
    kind = field.type
    try:
        if value is None:
            return pa.nulls(1, kind)
        if pa.types.is_string(kind) and isinstance(value, str):
            return pa.array([value], kind)
        if pa.types.is_boolean(kind) and str(value).lower() in ("true", "false"):
            return pa.array([str(value).lower() == "true"])
        if pa.types.is_integer(kind) and (isinstance(value, str) or type(value) is int):
            return pa.array([int(value)], kind)
        if pa.types.is_date32(kind) and isinstance(value, str):
            return pc.cast(pa.array([value]), kind)
        if pa.types.is_timestamp(kind) and isinstance(value, str):
            zoned = value.endswith("Z") and kind.tz is not None
            return pc.cast(pc.cast(pa.array([value[:-1] if zoned else value]), _LOCAL), kind)
    except (ValueError, OverflowError):
        pass
    raise UserError(f"key column '{field.name}' is {_name(kind)}: {value!r} is not")


def _name(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "a text"
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_integer(kind):
        return f"a whole number of {kind.bit_width} bits"
    if pa.types.is_date32(kind):
        return "a date such as 2013-01-31"
    return "a timestamp such as 2013-01-31T17:05:00" + ("Z" if kind.tz else "")
