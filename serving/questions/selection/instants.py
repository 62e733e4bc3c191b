"""Parses and formats times; values are microseconds since 1970-01-01 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import UserError
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.zones import load_zone

__all__ = ["EVER", "in_zone", "parse_span", "parse_time", "time_in"]

EVER = -(2**62), 2**62
"""A span that contains all times."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str, flag: str, zone: str = "UTC", more: str = "") -> int:
    """Microseconds of an ISO 8601 time, in `zone` unless it has an offset. Raises UserError naming `flag`.

    `more`: other valid inputs, for the message.
    """
    try:
        return instant_of(text, zone, more)
    except ValueError as error:
        raise UserError(f"{flag} {error}") from None


def parse_span(start: str | None, end: str | None) -> tuple[int, int] | None:
    """The span of `--from` and `--to`, None without both; see `parse_time`."""
    if start is None and end is None:
        return None
    return parse_time(start, "--from") if start else EVER[0], parse_time(end, "--to") if end else EVER[1]


def time_in(time: int, zone: str = "UTC") -> str:
    """ISO 8601: in UTC with a Z, in another zone with the offset that its clocks have then."""
    if zone == "UTC":
        return time_text(time)
    try:
        return in_zone(_EPOCH + timedelta(microseconds=time), zone).isoformat()
    except OverflowError:
        return time_text(time)


def in_zone(time: datetime, zone: str) -> datetime:
    """The same instant in the zone; unchanged where the calendar ends within the offset."""
    try:
        return time.astimezone(_zone(zone))
    except OverflowError:
        return time


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return load_zone(name)
