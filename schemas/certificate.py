"""What comes with each answer: what it is made of, and whether it can still change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tandem.schemas.time.durations import GREGORIAN_CYCLE

__all__ = ["Certificate", "Facts", "Status", "judge", "settled_until", "time_text"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """How far an answer can be relied on."""

    FINAL = "FINAL"
    """Nothing is known to be missing, all of it comes from batch, and nothing more is expected in time."""
    PROVISIONAL = "PROVISIONAL"
    """Nothing is known to be lost, but it can still change: live events, events in flight, or the window is
    open.
    """
    PARTIAL = "PARTIAL"
    """Something that it should contain is known to be missing."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one answer is made of. Times are microseconds since 1970-01-01 UTC."""

    name: str
    """The definition's name."""
    version: str
    """The definition's version; '' when nothing is published."""
    publication: int
    """Number of the publication that was read; 0 when nothing is published."""
    boundary: int
    """The highest journal generation that batch covers; 0 for none."""
    batch_run: str | None
    live_run: str | None
    watermark: int | None
    """The live run's watermark."""
    events: int
    """Events merged into the answer."""
    batch_events: int
    live_events: tuple[tuple[int, int], ...]
    """(generation, events) of the live part, ascending; generations without events are left out."""
    pending_late: int
    """Events of the window's tiles that came too late for live, and that batch doesn't cover yet, over all
    keys.
    """
    dead_letters: int
    """Unresolved dead letters of the definition; they might belong to any answer."""
    conflicts: int
    """Equal ids with different content in all that is covered; both count."""
    in_flight: int
    """Sum of the absolute residues of the live generations after the boundary."""
    residue: int
    """Sum of the absolute residues of batch; zero in everything that was published by the rules."""
    status: Status
    reasons: tuple[str, ...]
    """Why it isn't FINAL, in plain words; empty when it is."""
    complete_to: int | None = None
    """Until when batch's sources have told to be complete: the journal's lanes when the boundary was sealed (their
    watermark), without a journal the files.
    """
    missing: tuple[str, ...] = ()
    """Segments and files that batch should have read and that are gone."""

    @property
    def live_share(self) -> float:
        """The part of the events that comes from live, 0 to 1."""
        return (self.events - self.batch_events) / self.events if self.events else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a window when its answer is read; `judge` makes the status of it."""

    end: int
    """End of the window, exclusive."""
    lateness: int
    published: bool
    batch: bool
    """A batch run is published."""
    live: bool
    """A live run is served."""
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
    """What the answer should contain and doesn't."""
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
    """Why the answer can still change although nothing is known to be lost."""
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
    """No window that ends after this time (microseconds UTC) can be FINAL, since its sources may still bring events.

    Live tells by its watermark. Without live the journal does by the watermark of its lanes at the boundary, and where
    there is no journal the files. None: nothing was told.
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
    """Batch alone is served, and nothing states that what it read is complete."""
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
    """ISO 8601 of microseconds since 1970-01-01 UTC; years that four digits can't write have a sign and six.

    Beyond the years -399 to 10399, which no bound of a window reaches, the number itself.
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
