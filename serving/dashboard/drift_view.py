"""The contents of the page of drift: a map of generations and tiles, how late late events were, and the causes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tandem.schemas.certificate import time_text
from tandem.schemas.time.durations import DAY, format_duration
from tandem.views.reconcile.receipts import drift_points

if TYPE_CHECKING:
    from tandem.serving.api.answering import Asking
    from tandem.views.reconcile.receipts import DriftPoint

__all__ = ["Cell", "DriftView", "drift_view", "late_histogram", "level_of"]

_TILES, _GENERATIONS, _ROWS = 60, 40, 100
_MINUTE: Final = 60 * 1_000_000
_BINS: Final = (0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 60 * _MINUTE, 6 * 60 * _MINUTE, DAY)
_CAUSES: Final = (
    ("late", "late"),
    ("cross-boundary duplicates", "cross_duplicates"),
    ("missing", "missing"),
    ("extra", "extra"),
    ("logic", "logic"),
)
"""(label on the page, name in `Causes`)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One generation of one tile on the map."""

    column: int
    row: int
    level: int
    """Distance of live from batch, 0 (none) to 4."""
    text: str


@dataclass(frozen=True, slots=True)
class DriftView:
    """The contents of the page."""

    tiles: list[str]
    """Columns of the map: starts of tiles."""
    generations: list[int]
    """Its rows, the newest one first."""
    cells: list[Cell]
    lateness: list[tuple[str, int]]
    """(delay after its tile's end, events)."""
    causes: list[tuple[str, int]]
    points: list[DriftPoint]
    """The newest points, differing ones first."""
    total: int


def drift_view(asking: Asking) -> DriftView:
    """The page of all drift that reconciling has found. For callers who see all keys of the definition."""
    asking.unrestricted()
    points = drift_points(asking.store.views, asking.name)
    tiles = sorted({point.tile for point in points})[-_TILES:]
    generations = sorted({point.generation for point in points}, reverse=True)[:_GENERATIONS]
    columns, rows = ({each: at for at, each in enumerate(some)} for some in (tiles, generations))
    cells = [
        Cell(columns[point.tile], rows[point.generation], level_of(point), _stated(point))
        for point in points
        if point.tile in columns and point.generation in rows
    ]
    causes = [(name, sum(abs(getattr(point.causes, cause)) for point in points)) for name, cause in _CAUSES]
    newest = sorted(points, key=lambda point: (point.absolute == 0, -point.tile, -point.generation))[:_ROWS]
    return DriftView(
        [time_text(tile) for tile in tiles],
        generations,
        cells,
        late_histogram(points, asking.compiled.definition.tile),
        causes,
        newest,
        len(points),
    )


def level_of(point: DriftPoint) -> int:
    """The distance of live from batch: 0 for none, then up to 1, 5 and 20 percent of batch's, and above."""
    if point.absolute == 0:
        return 0
    share = abs(point.relative) if point.relative is not None else 1.0
    return 1 + sum(share > limit for limit in (0.01, 0.05, 0.2))


def late_histogram(points: list[DriftPoint], tile: int) -> list[tuple[str, int]]:
    """Late events by their delay: from their tile's end to the start of the generation in which they came."""
    found = Counter[int]()
    for point in points:
        if point.causes.late and point.begun_at is not None:
            late = point.begun_at - (point.tile + tile)
            found[sum(late >= edge for edge in _BINS)] += point.causes.late
    return [(_bin(at), found[at]) for at in range(len(_BINS) + 1)] if found else []


def _bin(at: int) -> str:
    if at == 0:
        return "before its end"
    if at == len(_BINS):
        return f"above {format_duration(_BINS[-1])}"
    low = format_duration(_BINS[at - 1]) if at > 1 else "0"
    return f"{low} to {format_duration(_BINS[at])}"


def _stated(point: DriftPoint) -> str:
    return f"tile {time_text(point.tile)}, generation {point.generation}: live {point.live:,}, batch {point.batch:,}"
