"""Times as a user writes them, and as Tandem shows them; both are microseconds since 1970-01-01 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.certificate import time_text
from schemas.errors import UserError

__all__ = ["ago_text", "parse_time", "short_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str, flag: str) -> int:
    """Microseconds of an ISO 8601 time, in UTC unless it has a zone. Raises UserError naming `flag`."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(
            f"{flag} {text!r} is not a time; write 2013-12-24, 2013-12-24T12:00 (UTC) or 2013-12-24T12:00+01:00"
        ) from None
    try:
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        raise UserError(f"{flag} {text!r} is out of range") from None


def short_time(time: int | None, *, seconds: bool = False) -> str:
    """ISO 8601 in UTC, cut to whole `seconds` if wanted; '-' for none."""
    if time is None:
        return "-"
    return time_text(time - time % 1_000_000 if seconds else time)


def ago_text(duration: int) -> str:
    """About how long microseconds are, for people: `0s`, `47s`, `3m12s`, `5h07m`, `3d04h`."""
    seconds = max(duration, 0) // 1_000_000
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86_400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86_400}d{seconds % 86_400 // 3600:02d}h"
