"""A view of random events, split between batch and live at any generation, and naive oracles of all windows over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from samples.sources import VISITS
from samples.updates import Segment, Tally, Update, block_of
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.time.durations import format_duration
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.store import ViewStore

TEXT = (
    VISITS
    + """\
measures: {{n: count, amount: {{sum: amount}}, largest: {{max: amount}}, amounts: {{distinct: amount}}}}
windows: {{visit: {{session: {gap}}}{more}}}
"""
)


@dataclass(frozen=True)
class Event:
    """One event; its time is in microseconds UTC."""

    at: int
    amount: int = 1
    user: str = "ann"
    generation: int = 1

    @property
    def key(self) -> str:
        return f'["{self.user}"]'


def definition_of(tile: int, gap: int, *, lateness: int = 0, more: str = "") -> CompiledDefinition:
    """`visits` with tiles and a session window of these sizes, in microseconds; `more` windows as YAML."""
    durations = {"tile": tile, "gap": gap, "lateness": lateness}
    texts = {name: format_duration(duration) for name, duration in durations.items()}
    return compile_definition(loads(TEXT.format(**texts, more=f", {more}" if more else "")))


class View:
    """The view of events: generations up to `boundary` by a batch run, those after it by a live run."""

    def __init__(
        self, path: Path | str, compiled: CompiledDefinition, events: Sequence[Event], boundary: int, watermark: int
    ) -> None:
        self.compiled, self.events = compiled, list(events)
        self.store = ViewStore(str(path))
        self.store.definitions.register(compiled, "")
        self.store.live.start(compiled.version, "L")
        last = max((event.generation for event in events), default=0)
        for generation in range(1, max(last, boundary) + 1):
            self._live([event for event in events if event.generation == generation], generation)
        self.store.live.set_watermark(compiled.version, "L", watermark)
        if boundary:
            self._batch([event for event in events if event.generation <= boundary], boundary)
            self.store.publishing.publish("visits", compiled.version, "B", "L")
        else:
            self.store.publishing.serve_live("visits", compiled.version, "L")

    def segment(self, number: int, **counts: Any) -> None:
        """One more segment that live received."""
        self.store.live.write_segments(self.compiled.version, "L", [Segment("L/z", number, **counts)])

    def _live(self, events: Sequence[Event], generation: int) -> None:
        count = len(events)
        self.store.live.write_segments(
            self.compiled.version, "L", [Segment("L/0", generation, generation, count, count)]
        )
        updates = [Update(tile, 0, block, (Tally(generation, total),)) for tile, block, total in self._tiles(events)]
        self.store.live.write(self.compiled, "L", updates)

    def _batch(self, events: Sequence[Event], boundary: int) -> None:
        self.store.batch.start(self.compiled.version, "B", boundary=boundary)
        updates = [Update(tile, 0, block, ()) for tile, block, _ in self._tiles(events)]
        self.store.batch.write(self.compiled, "B", updates)
        counts = {g: sum(event.generation == g for event in events) for g in range(1, boundary + 1)}
        manifest = tuple(GenerationCounts(g, received=n, counted=n) for g, n in counts.items())
        self.store.batch.finish("B", BatchManifest(manifest))

    def _tiles(self, events: Sequence[Event]) -> list[tuple[int, pa.RecordBatch, int]]:
        tile = self.compiled.definition.tile
        by_tile: dict[int, list[Event]] = {}
        for event in events:
            by_tile.setdefault(event.at // tile * tile, []).append(event)
        return [(start, self._block(mine), len(mine)) for start, mine in sorted(by_tile.items())]

    def _block(self, events: Sequence[Event]) -> pa.RecordBatch:
        columns = {name: [getattr(event, name) for event in events] for name in ("user", "amount")}
        times, generations = [event.at for event in events], [event.generation for event in events]
        return block_of(self.compiled, times, generations, columns)


# The oracles: plain Python over the events, nothing of the product.


def expected_results(events: Sequence[Event]) -> dict[str, Any]:
    """The measures of `visits` over these events."""
    amounts = [event.amount for event in events]
    return {
        "n": len(amounts),
        "amount": sum(amounts) if amounts else None,
        "largest": max(amounts, default=None),
        "amounts": len(set(amounts)),
    }


def expected_sessions(events: Sequence[Event], gap: int) -> list[list[Event]]:
    """The sessions of one key's events, by time: a gap or more between two events parts them."""
    sessions: list[list[Event]] = []
    for event in sorted(events, key=lambda event: event.at):
        if sessions and event.at - sessions[-1][-1].at < gap:
            sessions[-1].append(event)
        else:
            sessions.append([event])
    return sessions


FLOORS: dict[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.isoweekday() - 1),
    "month": lambda day: day.replace(day=1),
    "quarter": lambda day: day.replace(month=[1, 1, 1, 4, 4, 4, 7, 7, 7, 10, 10, 10][day.month - 1], day=1),
    "year": lambda day: day.replace(month=1, day=1),
}


def local_date(at: int, zone: str) -> date:
    """The date that a calendar on the wall shows."""
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return utc.astimezone(ZoneInfo(zone)).date()


def expected_periods(events: Sequence[Event], period: str, zone: str) -> dict[tuple[str, date], list[Event]]:
    """The events by key and first date of their period."""
    found: dict[tuple[str, date], list[Event]] = {}
    for event in events:
        found.setdefault((event.key, FLOORS[period](local_date(event.at, zone))), []).append(event)
    return found
