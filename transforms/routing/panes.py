"""Gathers panes for the fold: a tile's new events since the previous pane."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms import window
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.definition.loading import Definition
from tandem.transforms.elements import TileKey
from tandem.transforms.sources.reader_epochs import gathered
from tandem.transforms.sources.traced import carried, marked

__all__ = ["GatherPanes", "LatePanes", "Pane"]

_ROWS_OF_PANE: Final = 200_000
"""Approximate number of rows of the largest pane: a runner holds a pane whole, several times over."""
_ROWS_HELD: Final = 1_000_000
"""Approximate number of rows that a bundle holds back at most. The larger, the fewer panes a backlog has of each tile,
each of which writes the whole states of its keys."""

Pane = tuple[TileKey, tuple[str, pa.RecordBatch]]
"""Tile and shard, the pane's timing, and its events."""


@dataclass
class GatherPanes(beam.PTransform):  # type: ignore[misc]
    """Events by tile as panes in the global window: one pane a tile and bundle of the source.

    Input (TileKey, RecordBatch). The length of the source's bundles determines the freshness of answers, see
    `pipelines.live`. No runner's trigger is used: its pane would take the events through one more shuffle, and Prism
    2.77 forgets a trigger's state whenever a pane of the same key and window is committed, so that the last events of a
    tile may wait until its window expires.
    """

    definition: Definition

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[Pane]:
        gather = beam.ParDo(_Gather(self.definition.tile)).with_output_types(Pane)
        return parts | "Forever" >> beam.WindowInto(window.GlobalWindows()) | "Gather" >> gather


class LatePanes(beam.PTransform):  # type: ignore[misc]
    """Panes of late events: these don't count, but the fold needs them to recognize copies."""

    def expand(self, late: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[Pane]:
        return (
            late
            | "Forever" >> beam.WindowInto(window.GlobalWindows())
            | "Timing" >> beam.Map(_too_late).with_output_types(Pane)
        )


def _too_late(part: tuple[TileKey, pa.RecordBatch]) -> Pane:
    return part[0], ("late", part[1])


class _Gather(beam.DoFn):  # type: ignore[misc]
    """Holds parts back until the bundle's end. A pane's timestamp is its tile's end, as with windows."""

    def __init__(self, tile: int) -> None:
        self._tile = tile
        self._held: dict[TileKey, list[pa.RecordBatch]] = {}
        self._rows: Counter[TileKey] = Counter()

    def start_bundle(self) -> None:
        self._held, self._rows = {}, Counter()

    def process(self, part: tuple[TileKey, pa.RecordBatch]) -> Iterator[WindowedValue]:
        key, events = part
        self._held.setdefault(key, []).append(events)
        self._rows[key] += events.num_rows
        if self._rows[key] >= _ROWS_OF_PANE:
            yield self._pane(key)
        elif self._rows.total() >= _ROWS_HELD:
            yield from self.finish_bundle()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for key in list(self._held):
            yield self._pane(key)

    def _pane(self, key: TileKey) -> WindowedValue:
        parts = self._held.pop(key)
        events = marked(gathered(parts), carried(parts))
        del self._rows[key]
        end = Timestamp(micros=key[0] + self._tile - 1_000)
        return WindowedValue((key, ("early", events)), end, [window.GlobalWindow()])
