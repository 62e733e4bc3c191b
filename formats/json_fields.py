"""How a source's fields look in JSON: a msgspec type for each, and columns from what it decodes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
import pyarrow as pa

from tandem.formats.avro_types import MISSING, SourceField, Type
from tandem.formats.conversions import numbers_to_arrow, unscaled_to_decimal
from tandem.formats.verdicts import Verdicts, short

__all__ = ["column_of", "default_of", "json_type", "parse_decimal"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FLOAT_MAX: Final = 3.4028234663852886e38
_INT: Final = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_LONG: Final = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_FLOAT: Final = Annotated[float, msgspec.Meta(ge=-_FLOAT_MAX, le=_FLOAT_MAX)]
_INSTANT: Final = Annotated[datetime, msgspec.Meta(tz=True)]
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def json_type(field: SourceField) -> Any:
    """The msgspec type of a field; a nullable one may also come as Avro's JSON encoding wraps it: {"string":
    "x"}.
    """
    kind = field.type.value
    inner = _value_type(kind)
    if not field.nullable or inner is msgspec.Raw:
        return inner
    name = kind.name if kind.kind in ("enum", "fixed") else kind.kind
    wrapper = msgspec.defstruct(
        "Branch", [("value", inner)], rename={"value": name}, forbid_unknown_fields=True, gc=False
    )
    return inner | None | wrapper


def _value_type(kind: Type) -> Any:
    if kind.logical == "decimal":
        return msgspec.Raw  # msgspec's own decimals allow blanks, underscores and NaN
    if kind.logical in ("timestamp-millis", "timestamp-micros"):
        return _INSTANT | _LONG
    if kind.logical == "date":
        return _INT | Annotated[str, msgspec.Meta(pattern=f"^{_DATE.pattern}$")]
    if kind.kind == "enum":
        return Literal[kind.names]
    simple: dict[str, Any] = {
        "boolean": bool, "int": _INT, "long": _LONG, "float": _FLOAT, "double": float,
        "string": str, "bytes": str, "fixed": str,
    }  # fmt: skip
    return simple[kind.kind]


def default_of(field: SourceField) -> Any:
    """What a missing field has, in the form that decoding gives; MISSING if it may not be missing."""
    default = field.default
    if default is MISSING:
        return None if field.nullable and field.type.value.logical != "decimal" else _missing_decimal(field)
    if field.type.value.logical != "decimal":
        return msgspec.convert(default, json_type(field))
    if default is not None:
        default = str(unscaled_to_decimal(default.encode("latin-1"), field.type.value))
    return msgspec.Raw(json.dumps(default).encode())


def _missing_decimal(field: SourceField) -> Any:
    return msgspec.Raw(b"null") if field.nullable else MISSING


def column_of(values: list[Any], field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The field's Arrow column of what was decoded; marks values that have the form but no meaning."""
    kind = field.type.value
    if kind.logical == "decimal":
        return pa.array(verdicts.convert(values, lambda raw: _decimal(raw, kind), field.name), field.arrow)
    if field.nullable:
        plain = (int, str, float, bool, datetime, type(None))
        if not set(map(type, values)) <= set(plain):
            values = [value if isinstance(value, plain) else value.value for value in values]
    if kind.kind in ("bytes", "fixed"):
        return pa.array(verdicts.convert(values, lambda text: _bytes(text, kind), field.name), field.arrow)
    if kind.kind not in ("int", "long"):
        return pa.array(values, field.arrow)
    if kind.logical.startswith("timestamp-") and datetime in set(map(type, values)):
        factor = 1 if kind.logical == "timestamp-micros" else 1000
        return _instants(values, factor, field, verdicts)
    if kind.logical == "date" and str in set(map(type, values)):
        values = verdicts.convert(values, _date, field.name)
    return numbers_to_arrow(pa.array(values, pa.int64()), kind, field, verdicts)


def _instants(values: list[Any], factor: int, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Microseconds; whole numbers are in the unit of the logical type."""
    whole = [value if isinstance(value, int) else None for value in values]
    numbers = numbers_to_arrow(pa.array(whole, pa.int64()), field.type.value, field, verdicts).cast(pa.int64())
    if whole.count(None) == len(whole):
        return pa.array([value and (value - _EPOCH) // _MICROSECOND for value in values], pa.int64()).cast(field.arrow)
    merged = [
        (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else number
        for value, number in zip(values, numbers.to_pylist(), strict=True)
    ]
    return pa.array(merged, pa.int64()).cast(field.arrow)


def _date(value: Any) -> int:
    if isinstance(value, int):
        return value
    return (datetime.fromisoformat(value).replace(tzinfo=UTC) - _EPOCH).days


def _bytes(text: str, kind: Type) -> bytes:
    """Avro's JSON encoding of bytes: each character up to U+00FF is a byte."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{short(text)} has characters above U+00FF, which stand for no byte") from None
    if kind.kind == "fixed" and len(data) != kind.size:
        raise ValueError(f"{len(data)} bytes; {kind.size} are wanted")
    return data


def _decimal(raw: Any, kind: Type) -> Decimal | None:
    """The exact decimal of a JSON number or text."""
    text = bytes(raw).decode().strip()
    if text.startswith("{"):
        branch = json.loads(text)
        if list(branch) != [kind.name or kind.kind]:
            raise ValueError(f"{short(text)} is not a decimal")
        text = json.dumps(branch.popitem()[1])
    if text == "null":
        return None
    if text.startswith('"'):
        text = json.loads(text)
    return parse_decimal(text, kind)


def parse_decimal(text: str, kind: Type) -> Decimal:
    """The exact decimal that the text writes. Raises ValueError if it has other digits or places than `kind`
    allows.
    """
    if len(text) > 200 or not _DECIMAL.fullmatch(text):
        raise ValueError(f"{short(text)} is not a decimal")
    value = Decimal(text)
    digits, exponent = value.as_tuple().digits, int(value.as_tuple().exponent)
    stripped = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(stripped)
    if not stripped.strip("0"):
        return Decimal(0)
    if exponent < -kind.scale or len(stripped) + exponent > kind.precision - kind.scale:
        raise ValueError(f"{short(text)} doesn't fit {kind.precision} digits with {kind.scale} decimal places")
    return value
