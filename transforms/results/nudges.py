"""Windows and triggers of results, as Beam has them, over nudges: a nudge says that a tile's states were written.

A pane says when, the view store says what: each firing drains what is due, whatever panes brought. So a runner that
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
"""Microseconds that stay inside of Beam's time with a window around them."""


@dataclass
class WriteAndNudge(beam.PTransform):  # type: ignore[misc]
    """Live states written as `WriteLiveStates` does, and the tiles that were (int, microseconds UTC)."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, updates: beam.PCollection[FoldUpdate]) -> beam.PCollection[int]:
        return updates | "Write" >> beam.ParDo(_WriteAndNudge(self.definition, self.live_run)).with_output_types(int)


class _WriteAndNudge(WriteStates):
    """The tiles follow the transaction that holds them."""

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
    """Nudges windowed by their tiles; each pane drains what is due of the definition's results.

    Gives how many revisions each pane wrote. Never in sliding windows, which would multiply the nudges.
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
    """Early as often as the result that is early most often, on time, and late for each bundle that writes.

    Beam's triggers of processing time have whole seconds: what is early more often is left to who delivers.
    """
    early = [result.trigger.early for result in definition.results.values() if result.trigger.early is not None]
    often = trigger.AfterProcessingTime(max(min(early) // SECOND, 1)) if early else None
    return trigger.AfterWatermark(early=often, late=trigger.AfterCount(1))


def _lateness(definition: Definition) -> int:
    return max(result.lateness_of(definition.lateness) for result in definition.results.values())


def _last_instant(tile: int, size: int) -> Timestamp:
    """The last instant of a tile, so that the pane of its window is on time when the watermark passes its end."""
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
        """The count is in the window of the last pane: the output has the windows of the panes."""
        if self._window is not None:
            yield WindowedValue(self._drained(), self._window.max_timestamp(), [self._window])

    def _drained(self) -> int:
        """How many revisions were written. A store that is down, or a version that isn't served, holds nothing up:
        the deliverer drains what is due then.
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
