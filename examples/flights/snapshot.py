"""All stored states of one instant, from which any windows are merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from examples.flights.oracle import Windows
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.all_steps import AnswerRow
from tandem.views.answers.merging import decode_states
from tandem.views.answers.reading.rows import all_rows, late_by_tile
from tandem.views.answers.reading.scope import read_scope
from tandem.views.store import ViewStore

__all__ = ["Snapshot"]

_EARLIEST: Final = -(1 << 62)


class Snapshot:
    """All stored states of one instant, decoded once; windows are merged from them as by `tandem.views.answers`.

    The interface answers windows one by one; there are more than 300,000 to be compared.
    """

    def __init__(self, store: ViewStore, compiled: CompiledDefinition, since: int | None = None) -> None:
        """`since`: tiles that start before it are left out (event time, microseconds UTC)."""
        with store.database.read() as connection:
            scope = read_scope(connection, store.chains, compiled)
            rows = [row for part in all_rows(connection, scope) for row in part if row.tile >= (since or _EARLIEST)]
            self.late = late_by_tile(connection, scope, _EARLIEST, -_EARLIEST)
        self.boundary, self.live_run = scope.boundary, scope.live_run
        self._compiled = compiled
        self._keys = sorted({row.key for row in rows})
        places = {key: place for place, key in enumerate(self._keys)}
        self._place = np.array([places[row.key] for row in rows], np.int64)
        self._tile = np.array([row.tile for row in rows], np.int64)
        self._events = np.array([row.events for row in rows], np.int64)
        self._batch = np.array([0 if row.generation else row.events for row in rows], np.int64)
        self._states = decode_states(compiled.measures, [row.states for row in rows], compiled.definition.name)

    def answers(self, windows: Windows) -> Iterator[AnswerRow]:
        """Yield every key and window that holds events."""
        size, shift = windows.size, windows.shift
        number = (self._tile - shift) // size
        lowest, span = int(number.min()), int(number.max() - number.min()) + 1
        codes, groups = np.unique(self._place * span + number - lowest, return_inverse=True)
        columns = [
            measure.result(measure.merge(states, groups, len(codes)))
            for (_, measure), states in zip(self._compiled.measures, self._states, strict=True)
        ]
        names = [name for name, _ in self._compiled.measures]
        events, batch = (_sums(values, groups, len(codes)) for values in (self._events, self._batch))
        for code, count, from_batch, *values in zip(codes.tolist(), events, batch, *columns, strict=True):
            start = (code % span + lowest) * size + shift
            results = dict(zip(names, values, strict=True))
            yield AnswerRow(self._keys[code // span], start, start + size, count, from_batch, results)


def _sums(values: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], size: int) -> list[int]:
    total = np.zeros(size, np.int64)
    np.add.at(total, groups, values)
    return [int(value) for value in total]
