"""Reads JSON of which YAML makes the same: that of ASCII texts, short keys and plain numbers, each key once."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["MAX_DEPTH", "MAX_NODES", "NUMBERS", "plain_json"]

MAX_DEPTH: Final = 64
MAX_NODES: Final = 20_000

NUMBERS: Final = (
    re.compile(r"[-+]?[0-9]{1,30}", re.ASCII),
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?", re.ASCII),
)
"""Whole numbers, and others; longer ones are texts in YAML."""

_LONGEST_KEY: Final = 1_000
"""YAML's keys end within 1,024 characters."""


class _Differs(ValueError):
    """YAML makes something else of a text, or nothing."""


def plain_json(text: str) -> dict[str, Any] | None:
    """The object that a text holds; None unless it is JSON of which YAML makes the same."""
    if not text.isascii() or "\\u" in text or "\x7f" in text or not text.lstrip().startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=_number, parse_constant=_constant
        )
        _count(found, 1, 0)
    except (ValueError, RecursionError):
        return None
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) or any(len(name) > _LONGEST_KEY for name in found):
        raise _Differs
    return found


def _whole(text: str) -> int:
    if not NUMBERS[0].fullmatch(text):
        raise _Differs
    return int(text)


def _number(text: str) -> float:
    if not NUMBERS[1].fullmatch(text):
        raise _Differs
    return float(text)


def _constant(text: str) -> Any:
    raise _Differs


def _count(value: Any, depth: int, nodes: int) -> int:
    """The number of values and keys so far, with those of `value`."""
    nodes += 1
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise _Differs
        if isinstance(value, dict):
            nodes += len(value)
        for item in value.values() if isinstance(value, dict) else value:
            nodes = _count(item, depth + 1, nodes)
    if nodes > MAX_NODES:
        raise _Differs
    return nodes
