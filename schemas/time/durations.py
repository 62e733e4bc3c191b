"""Durations as a user writes them ("500ms", "1h30m", "28d"), and as int microseconds."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "DAY",
    "DURATION_PATTERN",
    "GREGORIAN_CYCLE",
    "HOUR",
    "MAX_DURATION",
    "MINUTE",
    "SECOND",
    "format_duration",
    "parse_duration",
]

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

GREGORIAN_CYCLE: Final = 146_097 * DAY
"""400 years, after which days, weekdays and the rules of time zones repeat."""
MAX_DURATION: Final = 36_500 * DAY
"""About a hundred years: the sum of a time in this century and some durations stays far inside an int64."""

_UNITS: Final = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1_000, "us": 1}

DURATION_PATTERN: Final = "^(?=[0-9])" + "".join(f"([0-9]+{unit})?" for unit in _UNITS) + "$"
"""Each unit at most once, from the largest to the smallest, without spaces."""

_DURATION: Final = re.compile(DURATION_PATTERN, re.ASCII)
_PART: Final = re.compile(r"([0-9]+)(us|ms|[wdhms])", re.ASCII)
_WORD: Final = re.compile(r"(?<=[0-9])(week|day|hour|hr|minute|min|second|sec)s?(?![a-z])", re.ASCII)
_ALLOWED: Final = "write whole numbers with a unit, such as 500ms, 1s, 5m, 1h30m, 1d or 2w"


def parse_duration(text: object) -> int:
    """Microseconds of a duration, 0 to MAX_DURATION, both included. Raises ValueError naming what was found."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"{text!r} has no unit; {_ALLOWED}")
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not a duration; {_ALLOWED}")
    if len(text) > 100 or not _DURATION.fullmatch(text):
        raise ValueError(f"{text[:100]!r} is not a duration; {_suggested(text[:100])}{_ALLOWED}")
    duration = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if duration > MAX_DURATION:
        raise ValueError(f"{text!r} is too long; at most {format_duration(MAX_DURATION)}")
    return duration


def _suggested(text: str) -> str:
    """`did you mean '2w'? ` for a text whose units are words, else ''."""
    short = _WORD.sub(lambda word: word[1][0], text.lower().replace(" ", ""))
    return f"did you mean {short!r}? " if short != text.lower() and _DURATION.fullmatch(short) else ""


def format_duration(duration: int) -> str:
    """The shortest text that `parse_duration` reads back as `duration` (microseconds, not negative)."""
    if duration < 0:
        raise ValueError(f"a duration can't be negative: {duration} microseconds")
    for unit, size in _UNITS.items():  # one unit where it is enough: 36h, not 1d12h
        if unit != "w" and duration and duration % size == 0 and duration // size < 10_000:
            return f"{duration // size}{unit}"
    parts = []
    for unit, size in _UNITS.items():
        if unit != "w" and duration >= size:
            parts.append(f"{duration // size}{unit}")
            duration %= size
    return "".join(parts) or "0s"
