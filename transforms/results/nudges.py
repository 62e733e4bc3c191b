"""Beam's windows and triggers of results, over nudges: a nudge says that a tile's states were written.

A pane determines when, the view store what: each firing drains the due tiles, whatever its pane holds. So a runner that
fires a pane again, late or never changes no result; the deliverer drains the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
from apache_beam.transforms import trigger
from apache_beam.transforms.window import FixedWindows, GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import StoreError
from tandem.schemas.time.durations import SECOND
from tandem.transforms.elements import FoldUpdate
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sinks.views import WriteStates
from tandem.views.results.revisions.draining import Drainer
from tandem.views.storage.database import wall_clock
from tandem.views.storage.opening import open_store

__all__ = ["DrainByPanes", "WriteAndNudge", "trigger_of"]

_EARLIEST: Final = MIN_TIMESTAMP.micros + SECOND
_LATEST: Final = MAX_TIMESTAMP.micros - 2 * 86_400 * SECOND
"""Microseconds within Beam's range of time, with a window around them."""


@dataclass
class WriteAndNudge(beam.PTransform):  # type: ignore[misc]
    """Live states, written as by `WriteLiveStates`; the output is the written tiles (int, microseconds UTC)."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, updates: beam.PCollection[FoldUpdate]) -> beam.PCollection[int]:
        return updates | "Write" >> beam.ParDo(_WriteAndNudge(self.definition, self.live_run)).with_output_types(int)


class _WriteAndNudge(WriteStates):
    """Emits tiles after the transaction with their states."""

    def start_bundle(self) -> None:
        super().start_bundle()
        self._tiles: set[int] = set()

    def process(self, row: FoldUpdate) -> None:
        self._tiles.add(row.tile)
        super().process(row)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self.write_all()
        size = self._definition.tile
        for tile in sorted(self._tiles):
            yield WindowedValue(tile, _last_instant(tile, size), [GlobalWindow()])


@dataclass
class DrainByPanes(beam.PTransform):  # type: ignore[misc]
    """Nudges windowed by their tiles; each pane drains the due tiles of the definition's results.

    The output is the number of revisions that each pane wrote. Windows are never sliding ones, which would multiply the
    nudges.
    """

    definition: Definition
    live_run: LiveRunRef

    def expand(self, tiles: beam.PCollection[int]) -> beam.PCollection[int]:
        size = self.definition.tile
        stamp = beam.Map(_stamped, self.definition.name, size).with_output_types(tuple[str, int])
        windows = beam.WindowInto(
            FixedWindows(size / SECOND),
            trigger=trigger_of(self.definition),
            accumulation_mode=trigger.AccumulationMode.DISCARDING,
            allowed_lateness=Duration(micros=_lateness(self.definition)),
        )
        panes = tiles | "Stamp" >> stamp | "Window" >> windows | "Group" >> beam.GroupByKey()
        return panes | "Drain" >> beam.ParDo(_Drain(self.definition, self.live_run)).with_output_types(int)


def trigger_of(definition: Definition) -> trigger.AfterWatermark:
    """The trigger: early as often as the most frequent of the results' triggers, on time, and late for each bundle that
    writes.

    Beam's triggers of processing time have whole seconds: more frequent early results are left to the deliverer.
    """
    early = [result.trigger.early for result in definition.results.values() if result.trigger.early is not None]
    often = trigger.AfterProcessingTime(max(min(early) // SECOND, 1)) if early else None
    return trigger.AfterWatermark(early=often, late=trigger.AfterCount(1))


def _lateness(definition: Definition) -> int:
    return max(result.lateness_of(definition.lateness) for result in definition.results.values())


def _last_instant(tile: int, size: int) -> Timestamp:
    """The last instant of a tile, so that its window's pane is on time when the watermark passes the tile's end."""
    return Timestamp(micros=min(max(tile + size - 1, _EARLIEST), _LATEST))


def _stamped(tile: int, name: str, size: int) -> TimestampedValue:
    return TimestampedValue((name, tile), _last_instant(tile, size))


class _Drain(beam.DoFn):  # type: ignore[misc]
    """Drains once a bundle, however many panes are in it."""

    def __init__(self, definition: Definition, live_run: LiveRunRef) -> None:
        self._definition, self._live_run = definition, live_run

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)
        self._drainer: Drainer | None = None

    def start_bundle(self) -> None:
        self._window: Any = None

    def process(self, pane: tuple[str, Any], window: Any = beam.DoFn.WindowParam) -> None:
        self._window = window

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Emit the count in the window of the last pane: the output has the panes' windows."""
        if self._window is not None:
            yield WindowedValue(self._drained(), self._window.max_timestamp(), [self._window])

    def _drained(self) -> int:
        """The number of revisions written. A store that is down, or a version that isn't served, blocks nothing: the
        deliverer drains the due tiles then.
        """
        try:
            store = open_store(self._live_run.store)
            served = store.publishing.served(self._definition.name)
            if served is None or served.version != self._definition.version:
                return 0
            if self._drainer is None:
                self._drainer = Drainer(store, self._compiled)
            return self._drainer.drain(wall_clock())
        except StoreError:
            return 0
