"""Measures as Beam CombineFns, for CombinePerKey and CombineGlobally under any window and trigger."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tandem.schemas.columns import GENERATION, KEY
from tandem.schemas.errors import UserError
from tandem.schemas.states import aggregate
from tandem.transforms.windowed.events.columns import prepare_rows, row_text
from tandem.transforms.windowed.measuring import EventMeasures

__all__ = ["Gather", "MeasureEvents", "MergeStates", "states_of"]

_MOST_STATES: Final = 64
_MOST_EVENTS: Final = 1_024
"""Most events before they are folded: measures work in columns, and one event at a time costs a hundred times as
much."""

States = list[bytes]
Merge = Callable[[Sequence[bytes]], bytes]


class Gather(beam.CombineFn):  # type: ignore[misc]
    """Combines states to a few, which are merged later, many keys at once."""

    def __init__(self, merge: Merge, most: int) -> None:
        super().__init__()
        self._merge, self._most = merge, most

    def create_accumulator(self) -> States:
        return []

    def add_input(self, accumulator: States, element: bytes) -> States:
        accumulator.append(element)
        return self._few(accumulator)

    def merge_accumulators(self, accumulators: Iterable[States]) -> States:
        return self._few(list(itertools.chain.from_iterable(accumulators)))

    def extract_output(self, accumulator: States) -> Any:
        return accumulator

    def _few(self, states: States) -> States:
        return [self._merge(states)] if len(states) > self._most else states


class MergeStates(Gather):
    """Combines states to one. A state is the bytes from `states_of`, which `EventMeasures.results` reads.

    >>> from tandem.transforms.windowed import compile_measures
    >>> shop = compile_measures({"price": float}, {"sales": "count", "turnover": {"sum": "price"}})
    >>> merge = MergeStates(shop)
    >>> states = states_of(shop, [{"price": 0.1}, {"price": 0.2}]), states_of(shop, [{"price": 0.3}])
    >>> shop.results(merge.extract_output(merge.merge_accumulators([[state] for state in states])))
    {'sales': 3, 'turnover': 0.6}
    """

    def __init__(self, measures: EventMeasures) -> None:
        super().__init__(measures.merged, _MOST_STATES)

    def extract_output(self, accumulator: States) -> bytes:
        return self._merge(accumulator)


class MeasureEvents(beam.CombineFn):  # type: ignore[misc]
    """Combines dicts or Beam rows to the results of their measures, a dict by name.

    >>> from tandem.transforms.windowed import compile_measures
    >>> shop = compile_measures({"price": float}, {"sales": "count", "turnover": {"sum": "price"}})
    >>> with beam.Pipeline() as pipeline:
    ...     sales = pipeline | beam.Create([("a", {"price": 2.5}), ("b", {"price": 1.0}), ("a", {"price": 3.0})])
    ...     by_key = sales | beam.CombinePerKey(MeasureEvents(shop)) | beam.combiners.ToList()
    ...     _ = by_key | beam.Map(lambda found: print(*sorted(found), sep="\\n"))
    ('a', {'sales': 2, 'turnover': 5.5})
    ('b', {'sales': 1, 'turnover': 1.0})
    """

    def __init__(self, measures: EventMeasures) -> None:
        super().__init__()
        self._measures, self._states = measures, Gather(measures.merged, _MOST_STATES)

    def create_accumulator(self) -> tuple[list[Any], States]:
        return [], []

    def add_input(self, accumulator: tuple[list[Any], States], element: Any) -> tuple[list[Any], States]:
        events, states = accumulator
        events.append(element)
        return accumulator if len(events) < _MOST_EVENTS else ([], self._states.add_input(states, self._fold(events)))

    def merge_accumulators(self, accumulators: Iterable[tuple[list[Any], States]]) -> tuple[list[Any], States]:
        return [], self._states.merge_accumulators(self.compact(one)[1] for one in accumulators)

    def compact(self, accumulator: tuple[list[Any], States]) -> tuple[list[Any], States]:
        events, states = accumulator
        return ([], [*states, self._fold(events)]) if events else accumulator

    def extract_output(self, accumulator: tuple[list[Any], States]) -> dict[str, Any]:
        _, states = self.compact(accumulator)
        return self._measures.results(self._measures.merged(states))

    def _fold(self, events: list[Any]) -> bytes:
        return states_of(self._measures, events)


def states_of(measures: EventMeasures, events: list[Mapping[str, Any]] | list[Any]) -> bytes:
    """The state of some events, whatever their keys, without those that `where` filters.

    Raises UserError for an event that can't be measured.
    """
    prepared = prepare_rows(measures, events, None)
    for row, reason in sorted(prepared.bad.items()):
        raise UserError(f"an event can't be measured: {reason}: {row_text(events[row])[:200]}")
    if not prepared.events.num_rows:
        return measures.nothing
    rows = prepared.events.num_rows
    one_key = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(["[]"]))
    events_of_key = prepared.events.set_column(prepared.events.schema.get_field_index(KEY), KEY, one_key)
    placed = events_of_key.append_column(GENERATION, pa.array(np.zeros(rows, np.int64)))
    return measures.encode(aggregate(measures.block_measures, placed))[0]
