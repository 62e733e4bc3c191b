"""Times as a user writes them, and as Tandem shows them; both are microseconds since 1970-01-01 UTC."""

from __future__ import annotations

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import UserError
from tandem.schemas.instants import instant_of

__all__ = ["ago_text", "parse_time", "short_time"]


def parse_time(text: str, flag: str, zone: str = "UTC", more: str = "") -> int:
    """Microseconds of an ISO 8601 time, in `zone` unless it has an offset. Raises UserError naming `flag`.

    `more`: what else may be written, for the message.
    """
    try:
        return instant_of(text, zone, more)
    except ValueError as error:
        raise UserError(f"{flag} {error}") from None


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
