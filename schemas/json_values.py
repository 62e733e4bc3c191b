"""Encodes values as JSON that every reader accepts: no NaN, times as ISO 8601, decimals and large values as texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import orjson

__all__ = ["compact_json", "plain_texts", "plain_value"]

_EXPONENT: Final = re.compile(rb"[0-9][eE]|0\.0000")
"""Numbers that Python may write otherwise: with an exponent, or with more digits of it."""
_NUMBERS: Final = frozenset({int, float, bool, type(None)})
_ENCODERS: Final = {
    by_name: json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=by_name) for by_name in (True, False)
}


def compact_json(value: Any, *, sorted_names: bool = False) -> str:
    """Plain JSON data as compact text, equal to that of Python's `json`, in a tenth of the time."""
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sorted_names else 0)
    except TypeError:  # such as for integers beyond 64 bits
        return _ENCODERS[sorted_names].encode(value)
    # Only numbers with exponents are written otherwise; a text that has what looks like one is just written again.
    return _ENCODERS[sorted_names].encode(value) if _EXPONENT.search(data) else data.decode()


def plain_texts(values: Sequence[Any]) -> tuple[list[str], list[str]]:
    """The texts of `compact_json(plain_value(value))` for each value, and the same with sorted names.

    Numbers are encoded as one list, in a fourth of the time.
    """
    if _NUMBERS.issuperset(map(type, values)):
        try:
            data = orjson.dumps(values)
        except TypeError:
            data = b""
        if data and not _EXPONENT.search(data) and data.count(b"null") == values.count(None):
            texts = data[1:-1].decode().split(",") if values else []
            return texts, texts
    plain = [plain_value(value) for value in values]
    texts = [compact_json(value) for value in plain]
    if not any(isinstance(value, dict | list) for value in plain):
        return texts, texts
    return texts, [compact_json(value, sorted_names=True) for value in plain]


def _utc(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def plain_value(value: Any, shown: Callable[[datetime], str] = _utc) -> Any:
    """A result as plain JSON data.

    Floats that JSON doesn't have are the texts NaN, Infinity and -Infinity; decimals are texts with all their
    digits; bytes are hexadecimal digits; times are ISO 8601, as `shown` writes them, local ones without a zone.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else shown(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain_value(item, shown) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item, shown) for item in value]
    return str(value)
