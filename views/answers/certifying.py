"""Builds the certificate of an answer from its scope and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tandem.schemas.certificate import Certificate, Facts, Status, judge, settled_until
from tandem.views.answers.reading.rows import TileRow
from tandem.views.answers.reading.scope import Scope
from tandem.views.rows import Compiled

__all__ = ["certificate_of", "facts_of", "statuses"]


def facts_of(compiled: Compiled, scope: Scope, rows: Sequence[TileRow], late: int, end: int) -> Facts:
    """The facts about an answer merged from `rows`, with `late` pending events, of a window that ends at `end`."""
    return Facts(
        end=end,
        lateness=compiled.definition.lateness,
        published=scope.publication > 0,
        batch=scope.batch_run is not None,
        live=scope.live_run is not None,
        boundary=scope.boundary,
        watermark=scope.watermark,
        events=sum(row.events for row in rows),
        live_events=sum(row.events for row in rows if row.generation),
        pending_late=late,
        dead_letters=scope.dead_letters,
        in_flight=scope.in_flight,
        residue=scope.residue,
        complete_to=scope.complete_to,
        missing=scope.missing,
    )


def statuses(
    compiled: Compiled,
    scope: Scope,
    ends: Sequence[int],
    events: Sequence[int],
    live_events: Sequence[int],
    late: Sequence[int],
) -> list[Status]:
    """The status of each step of a series, by its end, events, events from live, and pending late events.

    The status depends on whether these counts are zero, and on whether the sources' completeness reaches the end.
    """
    known: dict[tuple[bool, bool, bool], Status] = {}
    common = facts_of(compiled, scope, (), 0, 0)
    settled = settled_until(common)
    found = []
    for end, count, live, pending in zip(ends, events, live_events, late, strict=True):
        alike = (live > 0, pending > 0, settled is not None and end <= settled)
        if alike not in known:
            facts = replace(common, end=end, events=count, live_events=live, pending_late=pending)
            known[alike] = judge(facts)[0]
        found.append(known[alike])
    return found


def certificate_of(
    compiled: Compiled, scope: Scope, rows: Sequence[TileRow], late: int, end: int, *, changing: Sequence[str] = ()
) -> Certificate:
    """The certificate of the same answer. `changing`: further reasons why the answer isn't FINAL."""
    facts = facts_of(compiled, scope, rows, late, end)
    status, reasons = judge(facts)
    if changing and status is Status.FINAL:
        status = Status.PROVISIONAL
    generations: dict[int, int] = {}
    for row in rows:
        if row.generation:
            generations[row.generation] = generations.get(row.generation, 0) + row.events
    return Certificate(
        name=scope.name,
        version=scope.version,
        publication=scope.publication,
        boundary=scope.boundary,
        batch_run=scope.batch_run,
        live_run=scope.live_run,
        watermark=scope.watermark,
        events=facts.events,
        batch_events=facts.events - facts.live_events,
        live_events=tuple(sorted(generations.items())),
        pending_late=late,
        dead_letters=scope.dead_letters,
        conflicts=scope.conflicts,
        in_flight=scope.in_flight,
        residue=scope.residue,
        status=status,
        reasons=(*reasons, *changing),
        complete_to=scope.complete_to,
        missing=scope.missing,
    )
