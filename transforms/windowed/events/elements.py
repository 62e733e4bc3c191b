"""The elements between the steps of windowed measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.transforms.window import GlobalWindow, IntervalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.states import from_ipc, to_ipc
from tandem.transforms.packing import PackedCoder, pack, unpack
from tandem.transforms.windowed.windows.assigning import Windows

__all__ = ["DEAD", "BadEvent", "PlacedEvents", "WindowedParDo", "globally"]

DEAD: Final = "dead"
"""The output for events that can't be measured."""


class BadEvent(NamedTuple):
    """An event that can't be measured: missing or wrong values, or an expression that fails."""

    element: str
    """The event as JSON."""
    msg: str
    """The reason."""


beam.coders.registry.register_coder(BadEvent, beam.coders.RowCoder)


@dataclass(frozen=True, slots=True)
class PlacedEvents:
    """Prepared events with their windows: columns.GENERATION has the index of each row's windows in `windows`."""

    events: pa.RecordBatch
    windows: tuple[Windows, ...]


class PlacedEventsCoder(PackedCoder):
    """Coder of PlacedEvents. Windows of custom types are encoded by Beam's fallback coder."""

    value_type = PlacedEvents

    def batches_of(self, value: PlacedEvents) -> Sequence[pa.RecordBatch]:
        return (value.events,)

    def encode(self, value: PlacedEvents) -> bytes:
        own = [FastPrimitivesCoder().encode(one) for one in value.windows if not _is_usual(one)]
        usual = [[_bounds(window) for window in one] if _is_usual(one) else None for one in value.windows]
        return pack(usual, [to_ipc(value.events), *own])

    def decode(self, encoded: bytes) -> PlacedEvents:
        usual, (events, *own) = unpack(encoded)
        others = iter(own)
        windows = (
            FastPrimitivesCoder().decode(next(others)) if bounds is None else tuple(map(_window, bounds))
            for bounds in usual
        )
        return PlacedEvents(from_ipc(events), tuple(windows))


beam.coders.registry.register_coder(PlacedEvents, PlacedEventsCoder)


def _is_usual(windows: Windows) -> bool:
    return all(type(window) in (IntervalWindow, GlobalWindow) for window in windows)


def _bounds(window: Any) -> list[int]:
    return [] if isinstance(window, GlobalWindow) else [window.start.micros, window.end.micros]


def _window(bounds: list[int]) -> Any:
    return IntervalWindow(*(Timestamp(micros=at) for at in bounds)) if bounds else GlobalWindow()


def globally(value: object) -> WindowedValue:
    """A value in the global window, independent of its events' times."""
    return WindowedValue(value, MIN_TIMESTAMP, (GlobalWindow(),))


class WindowedParDo(beam.ParDo):  # type: ignore[misc]
    """A ParDo whose output has another windowing than its input: its function sets the windows of each element."""

    def __init__(self, fn: beam.DoFn, windowing: beam.transforms.core.Windowing) -> None:
        super().__init__(fn)
        self._windowing_of_output = windowing

    def get_windowing(self, inputs: Any) -> beam.transforms.core.Windowing:
        """See PTransform."""
        return self._windowing_of_output
