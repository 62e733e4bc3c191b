"""Values as portable JSON, with times in a zone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tandem.schemas.json_values import plain_value
from tandem.serving.questions.selection.instants import in_zone

__all__ = ["json_value", "key_data"]


def key_data(columns: Sequence[str], key: str) -> dict[str, Any]:
    """A canonical key as in every JSON output: {column: value, ...}; {} for a definition without a key."""
    return dict(zip(columns, json.loads(key), strict=True))


def json_value(value: Any, zone: str = "UTC") -> Any:
    """A result as plain JSON data (see `plain_value`); times in UTC with a Z, or in `zone` with its offset."""
    if zone == "UTC":
        return plain_value(value)
    return plain_value(value, lambda time: in_zone(time, zone).isoformat())
