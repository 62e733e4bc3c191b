"""Reports the windows that triggers hold back, and until when."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tandem.schemas.definition.models import Definition
from tandem.views.results.clocks import BEGINNING
from tandem.views.results.due.expanding import LATER
from tandem.views.results.tables import result_waiting

__all__ = ["HeldBack", "held_back"]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Changed windows of a definition's results that aren't sent yet."""

    windows: int
    until: int | None
    """The wall clock at which the first is sent unless something else happens, microseconds UTC. None where all wait
    for the watermark, or for batch."""


def held_back(connection: sa.Connection, definition: Definition, watermark: int | None) -> HeldBack:
    """The held-back windows of results. `watermark`: that of the served live run."""
    w, windows, until = result_waiting.c, 0, list[int]()
    since = sa.func.min(w.since)
    for name, result in definition.results.items():
        mine = (w.name == definition.name) & (w.result == name)
        query = sa.select(w.end, since.label("since")).where(mine).group_by(w.start, w.end)
        for row in connection.execute(query):
            windows += 1
            is_over = row.end <= (BEGINNING if watermark is None else watermark)
            after = result.trigger.late if is_over else result.trigger.early
            if isinstance(after, int) and row.since < LATER:
                until.append(row.since + after)
    return HeldBack(windows, min(until, default=None))
