"""Converts texts of flags to values. Errors are ValueErrors, or UserErrors that name the flag."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import parse_duration

__all__ = [
    "DURATION",
    "MOST_SHARDS",
    "POSITIVE",
    "WHOLE",
    "duration",
    "layer_threshold",
    "piece_memory",
    "shard_count",
    "true_or_false",
]

DURATION: Final = r"[0-9.]+([a-z]+([0-9.]+[a-z]+)*)?"
WHOLE: Final = r"[0-9]+"
POSITIVE: Final = r"[1-9][0-9]*"
"""Patterns of valid texts."""
MOST_SHARDS: Final = 256
"""The number of buckets; `schemas.buckets` would import Arrow."""
_LEAST_MEMORY: Final = 16_000_000


def duration(text: str) -> int:
    """ "500ms", "10s", "1h" or plain seconds, to microseconds. Raises ValueError."""
    with suppress(ValueError, OverflowError):
        text = f"{round(float(text) * 1_000_000)}us"
    return parse_duration(text)


def piece_memory(text: str) -> int:
    """Most bytes of memory for reading one piece of a file, of "512MB", "2GiB" or plain bytes. Raises UserError."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([kKmMgGtT]?)(i?)[bB]?", text.strip())
    if found is None:
        raise UserError(f"--max-piece-memory {text[:40]!r} is not a size; write it as 512MB or 2GiB")
    size: int = round(float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(found[2].upper() or " "))
    if size < _LEAST_MEMORY:
        raise UserError(f"--max-piece-memory {text[:40]} is too little to read anything; at least 16MB")
    return size


def layer_threshold(text: str) -> int | None:
    """A number of states; None for "never". Raises ValueError."""
    if text != "never" and not text.isdecimal():
        raise ValueError(f"{text[:40]!r} is neither a number of states nor never")
    return None if text == "never" else int(text)


def shard_count(text: str) -> int:
    """A number from 1 to the number of buckets. Raises ValueError."""
    if not text.isdigit() or not 1 <= int(text) <= MOST_SHARDS:
        raise ValueError(f"{text!r} is not a number from 1 to {MOST_SHARDS}")
    return int(text)


def true_or_false(text: str) -> bool:
    """ "true" or "1", "false" or "0". Raises ValueError."""
    if text.lower() not in ("true", "1", "false", "0"):
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return text.lower() in ("true", "1")
