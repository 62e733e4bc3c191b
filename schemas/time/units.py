"""Detects times in a wrong unit by their value.

Seconds read as milliseconds or microseconds, and milliseconds read as microseconds, all lie in January 1970.
"""

from __future__ import annotations

from typing import Final

from tandem.schemas.time.durations import DAY

__all__ = ["JANUARY_1970", "UNIT_QUESTION"]

JANUARY_1970: Final = range(31 * DAY)
"""Microseconds since 1970-01-01 UTC."""

UNIT_QUESTION: Final = "in January 1970: are they seconds, or milliseconds?"
