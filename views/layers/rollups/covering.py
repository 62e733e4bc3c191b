"""Cuts a query's span into days and hours that rollups hold, and tiles for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from tandem.schemas.buckets import BUCKETS, bucket_of
from tandem.views.batch.chains import Chain
from tandem.views.layers.reading import LayerRows, rows_of_key, rows_of_span
from tandem.views.layers.rollups.catalog import Unit, rollups_of, units_of
from tandem.views.layers.rollups.changes import Hours, changed_hours
from tandem.views.layers.rollups.grains import GRAINS

__all__ = [
    "Cover",
    "Inside",
    "Rolled",
    "cover_of",
    "is_rolled_up",
    "only_tiles",
    "within_edges",
    "within_spans",
    "within_steps",
]

Starts = npt.NDArray[np.int64]
Inside = Callable[[Starts, int], npt.NDArray[np.bool_]]
"""Whether each of the spans that begin at `starts` and are `grain` long lies within one step of the query."""

_GAPS: Final = 4
"""Most spans of tiles that are read separately; more are read as one, with everything between."""


def within_edges(edges: Sequence[int]) -> Inside:
    """`Inside` for steps between edges."""
    bounds = np.array(edges, np.int64)

    def inside(starts: Starts, grain: int) -> npt.NDArray[np.bool_]:
        at = np.searchsorted(bounds, starts, side="right")
        here = (at > 0) & (at < len(bounds))
        return here & (starts + grain <= bounds[np.minimum(at, len(bounds) - 1)])

    return inside


def within_steps(step: int) -> Inside:
    """`Inside` for steps aligned to 1970-01-01 UTC."""
    return lambda starts, grain: np.asarray(starts // step == (starts + grain - 1) // step)


def within_spans(span_at: Callable[[int], tuple[int, int]]) -> Inside:
    """`Inside` for steps of a function, such as a calendar's."""

    def inside(starts: Starts, grain: int) -> npt.NDArray[np.bool_]:
        spans = ((at, *span_at(at)) for at in starts.tolist())
        return np.array([start <= at and at + grain <= end for at, start, end in spans], bool)

    return inside


def is_rolled_up(connection: sa.Connection, definition: int, chain: Chain) -> bool:
    """Whether a chain has any rollups."""
    return bool(rollups_of(connection, definition, chain, -(2**62), 2**62))


@dataclass(frozen=True, slots=True)
class Rolled:
    """Hours or days that are read from rollups."""

    unit: Unit
    starts: Starts
    """Starts of the hours or days, ascending."""

    def of_key(self, key: str) -> Iterator[LayerRows]:
        """Rows of one key."""
        for file in self.unit.files:
            for rows in rows_of_key(file, key, *self._span):
                yield self._chosen(rows)

    def of_all(self) -> Iterator[Iterator[LayerRows]]:
        """A stream a file of the rows of all keys."""
        for file in self.unit.files:
            yield map(self._chosen, rows_of_span(file, *self._span))

    @property
    def _span(self) -> tuple[int, int]:
        return int(self.starts[0]), int(self.starts[-1]) + self.unit.grain

    def _chosen(self, rows: LayerRows) -> LayerRows:
        start, end = self._span
        if (end - start) // self.unit.grain == len(self.starts):
            return rows
        return rows.chosen(np.isin(rows.tiles, self.starts))


@dataclass(frozen=True, slots=True)
class Cover:
    """The cover of a span of time: rollups, and tiles for everything between them."""

    rolled: tuple[Rolled, ...]
    tiles: tuple[tuple[int, int], ...]
    """Spans [start, end)."""
    within: tuple[tuple[int, int], ...] = ()
    """The spans whose tiles count, if tiles between them are read as well."""

    def counts(self, tile: int) -> bool:
        """Whether a tile that was read counts."""
        return not self.within or any(start <= tile < end for start, end in self.within)


def only_tiles(start: int, end: int) -> Cover:
    """A cover without rollups."""
    return Cover((), ((start, end),))


def cover_of(
    connection: sa.Connection,
    definition: int,
    chain: Chain,
    span: tuple[int, int],
    inside: Inside,
    key: str | None = None,
) -> Cover:
    """The cover of [start, end), for one key or all keys."""
    rows = rollups_of(connection, definition, chain, *span)
    if not rows:
        return only_tiles(*span)
    units = units_of(connection, definition, rows, bucket_of(key) if key is not None else None)
    rolled: list[Rolled] = []
    for grain in GRAINS:
        for unit in units:
            if unit.grain == grain and (unit.buckets if key is not None else unit.buckets == BUCKETS):
                starts = _usable(unit, changed_hours(connection, chain, unit.prefix), span, inside)
                starts = _not_yet(starts, grain, rolled)
                if len(starts):
                    rolled.append(Rolled(unit, starts))
    gaps = tuple(_gaps(rolled, *span))
    if len(gaps) <= _GAPS:
        return Cover(tuple(rolled), gaps)
    return Cover(tuple(rolled), ((gaps[0][0], gaps[-1][1]),), gaps)


def _usable(unit: Unit, changed: Hours, span: tuple[int, int], inside: Inside) -> Starts:
    grain = unit.grain
    first = -(-max(unit.start, span[0]) // grain) * grain
    starts = np.arange(first, min(unit.end, span[1]) - grain + 1, grain, dtype=np.int64)
    same = np.searchsorted(changed, starts) == np.searchsorted(changed, starts + grain)
    return np.asarray(starts[same & inside(starts, grain)])


def _not_yet(starts: Starts, grain: int, rolled: Sequence[Rolled]) -> Starts:
    """Starts without those that a coarser grain, or another unit, already covers."""
    for other in rolled:
        size = other.unit.grain
        starts = np.asarray(starts[~np.isin(starts // size * size, other.starts)])
    return starts


def _gaps(rolled: Sequence[Rolled], start: int, end: int) -> Iterator[tuple[int, int]]:
    spans = [(s, s + each.unit.grain) for each in rolled for s in each.starts.tolist()]
    at = start
    for first, last in sorted(spans):
        if first > at:
            yield at, first
        at = last
    if at < end:
        yield at, end
