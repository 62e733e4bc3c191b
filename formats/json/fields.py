"""Maps a source's fields to JSON: a msgspec type for each, and columns from decoded values.

JSON has numbers, booleans and texts. Other values (times, dates, times of day, decimals) are texts, which
`tandem.formats.values` reads; so are all values of a field with a declared spelling.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import numbers_to_arrow, unscaled_to_decimal
from tandem.formats.avro.types import MISSING, SourceField, Type
from tandem.formats.dead_letters.verdicts import Verdicts, short
from tandem.formats.values.spelling import PLAIN
from tandem.formats.values.texts import column_of_text, without_nulls

__all__ = ["column_of", "column_of_texts", "default_of", "is_read_from_text", "json_type"]

_FLOAT_MAX: Final = 3.4028234663852886e38
_INT: Final = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_LONG: Final = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_FLOAT: Final = Annotated[float, msgspec.Meta(ge=-_FLOAT_MAX, le=_FLOAT_MAX)]
_TEXTS: Final = ("string", "bytes", "fixed", "enum")


def is_read_from_text(field: SourceField) -> bool:
    """Whether the field's values are read from their text, even where JSON has numbers or booleans for them."""
    kind = field.type.value
    return field.spelling != PLAIN and (kind.kind not in _TEXTS or kind.logical == "decimal")


def json_type(field: SourceField) -> Any:
    """The msgspec type of a field; a nullable one may also be wrapped as in Avro's JSON encoding: {"string": "x"}."""
    kind = field.type.value
    inner = msgspec.Raw if is_read_from_text(field) else _value_type(field)
    if not field.nullable or inner is msgspec.Raw:
        return inner
    wrapper = msgspec.defstruct(
        "Branch", [("value", inner)], rename={"value": _branch(kind)}, forbid_unknown_fields=True, gc=False
    )
    return inner | None | wrapper


def _branch(kind: Type) -> str:
    """The name of a value's type in Avro's JSON encoding."""
    return kind.name or kind.kind


def _value_type(field: SourceField) -> Any:
    kind = field.type.value
    if kind.logical == "decimal":
        return msgspec.Raw  # msgspec's own decimals allow blanks, underscores and NaN
    if kind.kind == "enum":
        return str if field.spelling.nulls else Literal[kind.names]
    if kind.logical:  # times and dates: numbers, or texts that are read later
        return (_INT if kind.kind == "int" else _LONG) | str
    simple: dict[str, Any] = {
        "boolean": bool, "int": _INT, "long": _LONG, "float": _FLOAT, "double": float,
        "string": str, "bytes": str, "fixed": str,
    }  # fmt: skip
    return simple[kind.kind]


def default_of(field: SourceField) -> Any:
    """The value of a missing field, in decoded form; MISSING if it is required."""
    default, raw = field.default, is_read_from_text(field) or field.type.value.logical == "decimal"
    if default is MISSING:
        if not field.nullable:
            return MISSING
        return msgspec.Raw(b"null") if raw else None
    if not raw:
        return msgspec.convert(default, json_type(field))
    if default is not None and field.type.value.logical == "decimal":
        default = unscaled_to_decimal(default.encode("latin-1"), field.type.value)
        default = str(default).replace(".", ",") if field.spelling.decimal_comma else str(default)
    return msgspec.Raw(json.dumps(default).encode())


def column_of(values: list[Any], field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The field's Arrow column of decoded values; marks values of the right form without a meaning."""
    kind = field.type.value
    if is_read_from_text(field) or kind.logical == "decimal":
        values = verdicts.convert(values, lambda raw: _token(raw, field), field.name)
        return column_of_text(pa.array(values, pa.string()), field, verdicts)
    if field.nullable:
        plain = (int, str, float, bool, type(None))
        if not set(map(type, values)) <= set(plain):
            values = [value if isinstance(value, plain) else value.value for value in values]
    if kind.kind in ("bytes", "fixed"):
        nulls = field.spelling.nulls
        kept = [None if value in nulls else value for value in values] if nulls else values
        return pa.array(verdicts.convert(kept, lambda text: _bytes(text, kind), field.name), field.arrow)
    if kind.kind in _TEXTS and field.spelling != PLAIN:
        return column_of_texts(pa.array(values, pa.string()), field, verdicts)
    if kind.kind not in ("int", "long"):
        return pa.array(values, field.arrow)
    if kind.logical and str in set(map(type, values)):
        return _numbers_and_texts(values, field, verdicts)
    return numbers_to_arrow(pa.array(values, pa.int64()), kind, field, verdicts)


def column_of_texts(texts: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The field's column of JSON texts: read as those of CSV, but an empty text is a value of a text field."""
    if field.type.value.kind == "string":
        return without_nulls(texts, field)
    return column_of_text(texts, field, verdicts)


def _numbers_and_texts(values: list[Any], field: SourceField, verdicts: Verdicts) -> pa.Array:
    texts = [value if isinstance(value, str) else None for value in values]
    column = column_of_text(pa.array(texts, pa.string()), field, verdicts)
    numbers = [None if isinstance(value, str) else value for value in values]
    if numbers.count(None) == len(numbers):
        return column
    others = numbers_to_arrow(pa.array(numbers, pa.int64()), field.type.value, field, verdicts)
    return pc.coalesce(column, others)


def _token(raw: Any, field: SourceField) -> str | None:
    """The text of a JSON value: the content of a string, else the value as written."""
    kind = field.type.value
    text = _unwrapped(bytes(raw).decode().strip(), kind)
    if text == "null":
        return None
    if text.startswith('"'):
        said: str = json.loads(text)
        return said
    if text.startswith(("[", "{")):
        raise ValueError(f"{short(text)} is not {'a decimal' if kind.logical == 'decimal' else kind}")
    return text.replace(".", ",") if field.spelling.decimal_comma else text


def _unwrapped(text: str, kind: Type) -> str:
    """The JSON text of a value without Avro's branch around it."""
    if not text.startswith("{"):
        return text
    branch = json.loads(text)
    if list(branch) != [_branch(kind)]:
        raise ValueError(f"{short(text)} is not {'a decimal' if kind.logical == 'decimal' else kind}")
    return json.dumps(branch.popitem()[1])


def _bytes(text: str, kind: Type) -> bytes:
    """The bytes of Avro's JSON encoding: each character up to U+00FF is a byte."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{short(text)} has characters above U+00FF, which stand for no byte") from None
    if kind.kind == "fixed" and len(data) != kind.size:
        raise ValueError(f"{len(data)} bytes; {kind.size} are wanted")
    return data
