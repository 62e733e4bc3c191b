"""Explains the sources of an answer's numbers in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tandem.schemas.time.durations import format_duration
from tandem.serving.questions.answers.shown_times import short_time

if TYPE_CHECKING:
    from tandem.schemas.certificate import Certificate
    from tandem.schemas.definition.loading import Definition
    from tandem.views.rows import Publication

__all__ = ["explain"]


def explain(
    definition: Definition, certificate: Certificate, publication: Publication | None, end: int
) -> Iterator[tuple[str, str]]:
    """(word, sentence) for each source of the answer of a window ending at `end`."""
    c = certificate
    if not c.publication:
        yield "publication", f"nothing is published as {c.name} yet, so there is nothing to answer from."
        return
    when = f", since {short_time(publication.published_at, seconds=True)}" if publication is not None else ""
    yield "publication", f"{c.publication} is served{when}, of definition version {c.version}."
    yield "boundary", _boundary(c)
    yield "batch run", _batch(c)
    yield "complete", _complete(c)
    if c.missing:
        yield "missing", f"batch should have read, and didn't find: {', '.join(c.missing)}."
    yield "live run", _live(c)
    if c.live_run is not None:
        yield "watermark", _watermark(c, end, definition.lateness)
        yield "in flight", _in_flight(c)
        yield "late", _late(c)
    yield "dead letters", _dead(c)
    yield "residue", _residue(c)
    yield "conflicts", _conflicts(c)


def _boundary(c: Certificate) -> str:
    if c.batch_run is None:
        return "none: batch covers nothing yet."
    if not c.boundary:
        return "generation 0: batch covers files only, nothing of the journal."
    return f"generation {c.boundary}: up to there the journal is counted by batch, after it by live."


def _batch(c: Certificate) -> str:
    if c.batch_run is None:
        return "none is served."
    return f"{c.batch_run} counted {c.batch_events:,} of the {c.events:,} events, all up to the boundary."


def _complete(c: Certificate) -> str:
    if c.batch_run is None:
        return "batch covers nothing yet."
    if not c.boundary:
        if c.complete_to is None:
            return "the files don't say until when they hold every event."
        return f"the files hold every event before {short_time(c.complete_to)}, by the newest or by --complete-until."
    if c.complete_to is None:
        return "the journal's lanes had no watermark yet when the boundary was sealed."
    return (
        f"when the boundary was sealed the journal's lanes expected no event from before {short_time(c.complete_to)}."
    )


def _live(c: Certificate) -> str:
    if c.live_run is None:
        return "none is served: nothing of the journal after the boundary is in the answer."
    live = c.events - c.batch_events
    parts = ", ".join(f"{events:,} in generation {generation}" for generation, events in c.live_events)
    return f"{c.live_run} counted {live:,} of the {c.events:,} events, all after the boundary" + (
        f": {parts}." if parts else "."
    )


def _watermark(c: Certificate, end: int, lateness: int) -> str:
    if c.watermark is None:
        return "unknown yet: live has not seen how far event time has come."
    closes = end + lateness
    text = (
        f"{short_time(c.watermark)}: live expects no event from before then, and takes those that do come "
        f"for another {format_duration(lateness)}. "
    )
    if c.watermark >= closes:
        return text + "The window is closed for live; what comes now waits for the next batch run."
    return text + f"The window is open until it reaches {short_time(closes)}."


def _in_flight(c: Certificate) -> str:
    if not c.in_flight:
        return "0: everything that live received after the boundary is in its view."
    return f"{c.in_flight:,} events that live received are not in its view yet; some may belong here."


def _late(c: Certificate) -> str:
    if not c.pending_late:
        return "0: no event of this window came too late for live and is missing."
    return (
        f"{c.pending_late:,} events of this window (of all keys) came too late for live. "
        "The journal has them; the next batch run counts them."
    )


def _dead(c: Certificate) -> str:
    if not c.dead_letters:
        return "0: no message of this definition waits to be repaired."
    return (
        f"{c.dead_letters:,} messages of this definition can't be decoded or computed; "
        "until they are, nobody knows which answers they belong to."
    )


def _residue(c: Certificate) -> str:
    if not c.residue:
        return "0: of all that batch received every event is counted, filtered, a duplicate or a dead letter."
    return f"{c.residue:,}: batch received events that it can't account for. This is an error."


def _conflicts(c: Certificate) -> str:
    if not c.conflicts:
        return "0: no two events with equal ids had different content."
    return f"{c.conflicts:,} events had the id of another one with different content; each of them counts."
