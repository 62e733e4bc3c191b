"""Windowed measures for any Beam pipeline, without journal or store.

`WindowedMeasures` takes dicts, Beam rows or record batches under any window and trigger; `MeasureEvents` and
`MergeStates` are the same measures as CombineFns; `CalendarWindows` are windows of a calendar in a time zone;
`beam_yaml_provider` has the path of the provider for Beam YAML.

`events`, `windows`, `states` and `rows` are its steps, in order.
"""

from __future__ import annotations

from tandem.transforms.windowed.compiling import compile_measures
from tandem.transforms.windowed.events.elements import BadEvent
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.provider import beam_yaml_provider
from tandem.transforms.windowed.states.combining import MeasureEvents, MergeStates, states_of
from tandem.transforms.windowed.transform import WindowedMeasures
from tandem.transforms.windowed.windows.calendar_windows import CalendarWindows
from tandem.transforms.windowed.windows.spelled_windows import window_into

__all__ = [
    "BadEvent",
    "CalendarWindows",
    "EventMeasures",
    "MeasureEvents",
    "MergeStates",
    "WindowedMeasures",
    "beam_yaml_provider",
    "compile_measures",
    "states_of",
    "window_into",
]
