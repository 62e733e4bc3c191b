"""Time zones by their IANA names: offsets, local times, and whether tiles fit them.

Instants are microseconds since 1970-01-01 UTC; local times are naive datetimes, as a clock in the zone shows them;
offsets are microseconds, local time less UTC.
"""

from __future__ import annotations

import functools
import math
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import DAY, SECOND, format_duration

__all__ = ["first_instant", "load_zone", "local_time", "offset_at", "offset_text", "offsets", "uneven_offset"]

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_MACHINE_NAMES: Final = ("localtime", "posixrules", "Factory")
"""Names whose meaning differs from machine to machine."""


@functools.lru_cache(maxsize=64)
def load_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name such as Europe/Berlin. Raises ValueError with a suggestion."""
    try:
        if name in _MACHINE_NAMES or name.startswith(("posix/", "right/")):
            raise KeyError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    known = sorted(zoneinfo.available_timezones().difference(_MACHINE_NAMES))
    if not known:
        raise ValueError(f"{name!r}: this machine has no time zones; install the package tzdata") from None
    ends = {zone.rpartition("/")[2].lower(): zone for zone in known}
    close = ends.get(name.strip().replace(" ", "_").lower())
    hint = f"did you mean '{close}'?" if close else suggestion(name, known).partition(" allowed: ")[0]
    example = hint if hint.endswith("?") else "write an IANA name such as Europe/Berlin or UTC"
    raise ValueError(f"{name[:80]!r} is not a time zone; {example}")


def local_time(zone: ZoneInfo, at: int) -> datetime:
    """The local time in the zone at an instant. Raises UserError outside the years 1 to 9999."""
    try:
        utc = (_EPOCH + timedelta(microseconds=at)).replace(tzinfo=UTC)
        return utc.astimezone(zone).replace(tzinfo=None, fold=0)
    except OverflowError:
        raise _outside() from None


def offset_at(zone: ZoneInfo, at: int) -> int:
    """Local time less UTC at an instant. Raises UserError outside the years 1 to 9999."""
    return (local_time(zone, at) - _EPOCH) // _MICROSECOND - at


def first_instant(zone: ZoneInfo, local: datetime) -> int:
    """The first instant at which a clock in the zone shows `local` or later: the first of a repeated time, the skip of
    a skipped one. Raises UserError outside the years 1 to 9999.
    """
    before = _instant(zone, local, fold=0)
    if local_time(zone, before) == local:
        return before
    # Skipped: in a gap fold 0 counts with the offset before it, fold 1 with that after it, so the skip is between.
    low, high = _instant(zone, local, fold=1), before
    old = offset_at(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle) == old:
            low = middle
        else:
            high = middle
    return high


def offsets(zone: ZoneInfo, start: int, end: int) -> dict[int, int]:
    """The offsets within [start, end], both included, each with an instant at which it holds; sampled day by day."""
    found: dict[int, int] = {}
    for at in (*range(start, end, DAY), end):
        found.setdefault(offset_at(zone, at), at)
    return found


def offset_text(offset: int) -> str:
    """The offset as a text: `+05:30`, or `+00:53:28` where it has seconds."""
    sign, seconds = "-" if offset < 0 else "+", abs(offset) // SECOND
    text = f"{sign}{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def uneven_offset(zone: ZoneInfo, tile: int, start: int, end: int) -> str | None:
    """Why tiles of this size don't divide the zone's offsets over [start, end], naming all three; None where they
    do.
    """
    for offset, at in sorted(offsets(zone, start, end).items(), key=lambda item: item[1]):
        if offset % tile:
            fits = format_duration(math.gcd(offset, tile))
            when = local_time(zone, at).date()
            return (
                f"tiles of {format_duration(tile)} don't divide the offset {offset_text(offset)} that {zone.key} has "
                f"on {when}; tiles of {fits} would"
            )
    return None


def _instant(zone: ZoneInfo, local: datetime, fold: int) -> int:
    try:
        offset = local.replace(tzinfo=zone, fold=fold).utcoffset()
        assert offset is not None
        at = (local - _EPOCH - offset) // _MICROSECOND
    except OverflowError:
        raise _outside() from None
    local_time(zone, at)  # the instant itself may lie outside
    return at


def _outside() -> UserError:
    return UserError("calendar windows are of the years 1 to 9999; this one reaches outside")
