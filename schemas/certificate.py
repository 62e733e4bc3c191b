"""The certificate of an answer: the runs and events behind it, and whether it can still change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tandem.schemas.time.durations import GREGORIAN_CYCLE

__all__ = ["Certificate", "Facts", "Status", "judge", "settled_until", "time_text"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """How reliable an answer is."""

    FINAL = "FINAL"
    """Nothing is known to be missing, all of it comes from batch, and nothing more is expected in time."""
    PROVISIONAL = "PROVISIONAL"
    """Nothing is known to be lost, but it can still change: it has live events, events are in flight, or the window is
    open."""
    PARTIAL = "PARTIAL"
    """Data that belong to it are known to be missing."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The provenance of one answer. Times are microseconds since 1970-01-01 UTC."""

    name: str
    """The definition's name."""
    version: str
    """The definition's version; '' where nothing is published."""
    publication: int
    """The number of the publication that was read; 0 where nothing is published."""
    boundary: int
    """The highest journal generation that batch covers; 0 for none."""
    batch_run: str | None
    live_run: str | None
    watermark: int | None
    """The live run's watermark, None without a live run or before its first."""
    events: int
    """The number of events merged into the answer."""
    batch_events: int
    live_events: tuple[tuple[int, int], ...]
    """(generation, events) of the live part, ascending; generations without events are left out."""
    pending_late: int
    """Events of the window's tiles, over all keys, that came too late for live and that batch doesn't cover yet."""
    dead_letters: int
    """Unresolved dead letters of the definition; they might belong to any answer."""
    conflicts: int
    """Pairs of equal ids with different content, over everything covered; both events count."""
    in_flight: int
    """Sum of the absolute residues of the live generations after the boundary."""
    residue: int
    """Sum of the absolute residues of batch; zero unless a published run breaks its accounting."""
    status: Status
    reasons: tuple[str, ...]
    """Why it isn't FINAL, in plain words; empty for FINAL."""
    complete_to: int | None = None
    """The time up to which batch's sources are complete: the watermark of the journal's lanes when the boundary was
    sealed; without a journal, of the files."""
    missing: tuple[str, ...] = ()
    """Segments and files that batch should have read, and that are missing."""

    @property
    def live_share(self) -> float:
        """The share of the events that comes from live, 0 to 1."""
        return (self.events - self.batch_events) / self.events if self.events else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known about a window when its answer is read; `judge` derives the status from it."""

    end: int
    """End of the window, exclusive."""
    lateness: int
    published: bool
    batch: bool
    """Whether a batch run is published."""
    live: bool
    """Whether a live run is served."""
    boundary: int
    watermark: int | None
    events: int
    live_events: int
    pending_late: int
    dead_letters: int
    in_flight: int
    residue: int
    complete_to: int | None = None
    """As in the certificate."""
    missing: tuple[str, ...] = ()


def judge(facts: Facts) -> tuple[Status, tuple[str, ...]]:
    """The status of an answer, and every reason why it isn't FINAL."""
    if not facts.published:
        return Status.PARTIAL, ("nothing is published yet",)
    missing, changing = _missing(facts), _changing(facts)
    if missing:
        return Status.PARTIAL, (*missing, *changing)
    return (Status.PROVISIONAL if changing else Status.FINAL), changing


def _missing(facts: Facts) -> tuple[str, ...]:
    """Reasons for which the answer is known to be incomplete."""
    reasons = []
    if facts.pending_late:
        reasons.append(f"{facts.pending_late} late events of the window wait for the next batch run")
    if facts.dead_letters:
        reasons.append(f"{facts.dead_letters} dead letters are unresolved and might belong here")
    if facts.residue:
        reasons.append(f"batch has a residue of {facts.residue} events")
    if facts.missing:
        more = f" and {len(facts.missing) - 3} more" if len(facts.missing) > 3 else ""
        reasons.append(f"missing in batch: {', '.join(facts.missing[:3])}{more}")
    return tuple(reasons)


def _changing(facts: Facts) -> tuple[str, ...]:
    """Reasons for which the answer can still change although nothing is known to be lost."""
    reasons = []
    if facts.live_events:
        reasons.append(f"{facts.live_events} of {facts.events} events come from live")
    if facts.in_flight:
        reasons.append(f"in flight: {facts.in_flight} events")
    if not facts.batch:
        reasons.append("no batch run is published yet")
    if facts.live:
        reasons.extend(_open_window(facts))
    elif facts.batch:
        reasons.extend(_not_stated_complete(facts))
    return tuple(reasons)


def settled_until(facts: Facts) -> int | None:
    """The latest end (microseconds UTC) of a window that can be FINAL: sources may still bring events for later ones.

    With live it is live's watermark less the lateness; without live the watermark of the journal's lanes at the
    boundary less the lateness; without a journal the time up to which the files are complete. None where no source
    says.
    """
    stated = facts.watermark if facts.live else facts.complete_to
    if stated is None:
        return None
    return stated - facts.lateness if facts.live or facts.boundary else stated


def _open_window(facts: Facts) -> tuple[str, ...]:
    settled = settled_until(facts)
    if settled is None:
        return ("the live run has no watermark yet",)
    if settled < facts.end:
        closes, watermark = facts.end + facts.lateness, settled + facts.lateness
        return (f"events are taken in until {time_text(closes)}, the watermark is {time_text(watermark)}",)
    return ()


def _not_stated_complete(facts: Facts) -> tuple[str, ...]:
    """The reason for which batch alone isn't known to be complete up to the window's end, if it isn't."""
    settled = settled_until(facts)
    if settled is not None and facts.end <= settled:
        return ()
    if facts.boundary:
        until = (
            f"; up to there the watermark is {time_text(facts.complete_to)}" if facts.complete_to is not None else ""
        )
        return (f"no live run is served: journal generations after {facts.boundary} are not in it{until}",)
    if settled is None:
        return ("the files don't say until when they are complete: `tandem backfill --complete-until TIME` does",)
    return (
        f"the files are complete until {time_text(settled)} by their newest event, or --complete-until: "
        f"before {time_text(facts.end)} there may be more",
    )


def time_text(time: int) -> str:
    """A time (microseconds since 1970-01-01 UTC) as ISO 8601; years outside 0 to 9999 have a sign and six digits.

    Beyond the years -399 to 10399, which no bound of a window reaches, it is the number itself.
    """
    for cycle in (0, -1, 1):
        try:
            shifted = (_EPOCH + timedelta(microseconds=time + cycle * GREGORIAN_CYCLE)).isoformat()
        except OverflowError:
            continue
        year = int(shifted[:4]) - cycle * 400
        written = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
        return written + shifted[4:].replace("+00:00", "Z")
    return f"{time} us"
