"""`EventMeasures`: measures of events by keys, computed over columns and states."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tandem.schemas.columns import EVENTS, FIRST_TIME, ID, KEY, LAST_TIME, TIME
from tandem.schemas.expressions import Expression
from tandem.schemas.measures import Measure, decode_rows, encode_rows, identity
from tandem.schemas.measures.extremes import Max, Min
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.results import with_derived

__all__ = ["EventMeasures"]

_TIMES: Final = ((FIRST_TIME, Min(TIME, pa.int64())), (LAST_TIME, Max(TIME, pa.int64())))
_COUNTED: Final = Count()


@dataclass(frozen=True, eq=False)
class EventMeasures:
    """Measures of events by keys; immutable, pickled as the arguments that it was compiled from.

    A state's bytes hold its number of events, then each measure's state; equal states have equal bytes.
    """

    compiled_from: tuple[Callable[..., EventMeasures], tuple[Any, ...]]
    """The function that made it, and its arguments."""
    fields: pa.Schema
    """The columns that are read from an event, in the order of its fields."""
    keys: tuple[pa.Field, ...]
    measures: tuple[tuple[str, Measure], ...]
    where: Expression | None
    derive: tuple[tuple[str, Expression], ...]
    """Columns computed from those of an event, in this order."""
    derive_results: tuple[tuple[str, Expression], ...]
    """Results computed from results, in this order."""
    event_time: str | None
    event_id: str | None
    id_type: pa.DataType | None
    """int64 for an id of integers, else string; None without an id."""

    def __reduce__(self) -> tuple[Callable[..., EventMeasures], tuple[Any, ...]]:
        return self.compiled_from

    @functools.cached_property
    def block_measures(self) -> tuple[tuple[str, Measure], ...]:
        """The measures, and the times of the first and last event, which windows need."""
        return (*self.measures, *_TIMES)

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """The measures' input columns, including columns.TIME."""
        read = (name for _, measure in self.block_measures for name in measure.inputs)
        return tuple(dict.fromkeys([*read, *((ID,) if self.event_id else ())]))

    @functools.cached_property
    def _stored(self) -> list[Measure]:
        return [_COUNTED, *(measure for _, measure in self.measures)]

    @functools.cached_property
    def nothing(self) -> bytes:
        """The state of no events."""
        state: bytes = encode_rows(self._stored, [identity(measure, 1) for measure in self._stored]).to_pylist()[0]
        return state

    def encode(self, block: pa.RecordBatch) -> list[bytes]:
        """The state of each row of a block (`tandem.schemas.states`) as bytes."""
        states = [block.column(EVENTS), *(block.column(name) for name, _ in self.measures)]
        encoded: list[bytes] = encode_rows(self._stored, states).to_pylist()
        return encoded

    def merged(self, states: Sequence[bytes]) -> bytes:
        """One state merged from several; from none, that of no events. Raises ValueError for bytes of other
        measures.
        """
        if len(states) < 2:
            return states[0] if states else self.nothing
        columns = decode_rows(self._stored, pa.array(states, pa.binary()))
        whole = self._merge(columns, np.zeros(len(states), np.int64), 1)
        merged: bytes = encode_rows(self._stored, whole).to_pylist()[0]
        return merged

    def results(self, state: bytes) -> dict[str, Any]:
        """The results of one state, by the measures' names, as plain Python values."""
        return self.answers([[state]])[0][1]

    def answers(self, parts: Sequence[Sequence[bytes]]) -> list[tuple[int, dict[str, Any]]]:
        """(number of events, results) of each sequence of states, merged; all sequences are computed in columns.

        An empty sequence stands for no events: panes of a discarding trigger can be empty.
        """
        parts = [states or [self.nothing] for states in parts]
        flat = [state for states in parts for state in states]
        if not flat:
            return []
        columns = decode_rows(self._stored, pa.array(flat, pa.binary()))
        if len(flat) > len(parts):
            groups = np.repeat(np.arange(len(parts)), [len(states) for states in parts])
            columns = self._merge(columns, groups, len(parts))
        return list(self._read(columns))

    def block_answers(self, block: pa.RecordBatch) -> list[tuple[str, int, dict[str, Any]]]:
        """(key, number of events, results) of each row of a block."""
        columns = [block.column(EVENTS), *(block.column(name) for name, _ in self.measures)]
        return [(key, *answer) for key, answer in zip(block.column(KEY).to_pylist(), self._read(columns), strict=True)]

    def _read(self, columns: Sequence[pa.Array]) -> Iterator[tuple[int, dict[str, Any]]]:
        counts, *results = [measure.result(column) for measure, column in zip(self._stored, columns, strict=True)]
        names = [name for name, _ in self.measures]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*results, strict=True)]
        return zip(counts, with_derived(self.measures, self.derive_results, rows), strict=True)

    def _merge(self, columns: Sequence[pa.Array], groups: Any, size: int) -> list[pa.Array]:
        return [measure.merge(column, groups, size) for measure, column in zip(self._stored, columns, strict=True)]
