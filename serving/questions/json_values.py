"""Values as JSON that every reader takes: no NaN, times as ISO 8601, decimals and large values as texts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from tandem.serving.questions.instants import in_zone

__all__ = ["json_value", "key_data"]


def key_data(columns: Sequence[str], key: str) -> dict[str, Any]:
    """A canonical key as every JSON output has it: {column: value, ...}; {} where there is one key alone."""
    return dict(zip(columns, json.loads(key), strict=True))


def json_value(value: Any, zone: str = "UTC") -> Any:
    """A result as plain JSON data.

    Floats that JSON doesn't have are the texts NaN, Infinity and -Infinity; decimals are texts with all their
    digits; bytes are hexadecimal digits; times are ISO 8601, in UTC with a Z or in
    `zone` with its offset, local ones without.
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
        if value.tzinfo is None or zone == "UTC":
            return value.isoformat().replace("+00:00", "Z")
        return in_zone(value, zone).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): json_value(item, zone) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item, zone) for item in value]
    return str(value)
