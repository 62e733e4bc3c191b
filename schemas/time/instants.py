"""Parses instants: ISO 8601, in a given time zone where they have no offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.time.zones import first_instant, load_zone

__all__ = ["instant_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_of(text: str, zone: str = "UTC", more: str = "") -> int:
    """Microseconds since 1970-01-01 UTC of an ISO 8601 time, in `zone` unless it has an offset.

    A repeated local time is the first of the two instants, a skipped one the instant of the skip. Raises ValueError;
    `more`: what else is allowed, for its message.
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text[:80]!r} is not a time; write 2013-12-24, 2013-12-24T12:00 (UTC) or 2013-12-24T12:00+01:00{more}"
        ) from None
    try:
        if time.tzinfo is None:
            return first_instant(load_zone(zone), time)
        return (time - _EPOCH) // timedelta(microseconds=1)
    except (OverflowError, UserError):
        raise ValueError(f"{text!r} is out of range") from None
