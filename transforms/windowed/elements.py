"""What passes between the steps of windowed measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from tandem.transforms.windowed.assigning import Windows

__all__ = ["DEAD", "BadEvent", "PlacedEvents", "WindowedParDo", "globally"]

DEAD: Final = "dead"
"""The output of events that can't be measured."""


class BadEvent(NamedTuple):
    """An event that can't be measured: missing or wrong values, or an expression that fails."""

    element: str
    """The event as JSON."""
    msg: str
    """What is wrong with it."""


beam.coders.registry.register_coder(BadEvent, beam.coders.RowCoder)


@dataclass(frozen=True, slots=True)
class PlacedEvents:
    """Prepared events with their windows: columns.GENERATION holds the place of each row's windows in `windows`."""

    events: pa.RecordBatch
    windows: tuple[Windows, ...]


def globally(value: object) -> WindowedValue:
    """A value in the global window, which says nothing of its events' times."""
    return WindowedValue(value, MIN_TIMESTAMP, (GlobalWindow(),))


class WindowedParDo(beam.ParDo):  # type: ignore[misc]
    """A ParDo whose elements are of other windows than its input's: its function says which, element by element."""

    def __init__(self, fn: beam.DoFn, windowing: beam.transforms.core.Windowing) -> None:
        super().__init__(fn)
        self._windowing_of_output = windowing

    def get_windowing(self, inputs: Any) -> beam.transforms.core.Windowing:
        """See PTransform."""
        return self._windowing_of_output
