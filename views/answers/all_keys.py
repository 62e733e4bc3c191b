"""The answers of all keys over one window, read in one transaction and merged in columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.certificate import Certificate
from tandem.schemas.time.windows import EVER
from tandem.views.answers.certifying import certificate_of
from tandem.views.answers.merging import decode_states, merged_states, results_of
from tandem.views.answers.reading.rows import late_by_tile, span_rows
from tandem.views.answers.reading.scope import read_scope
from tandem.views.layers.reading import once_more
from tandem.views.layers.rollups.covering import within_edges
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore
from tandem.views.windows import check_span

__all__ = ["KeyedStates", "states_of_all_keys"]


@dataclass(frozen=True)
class KeyedStates:
    """The merged states of each key that has events in [start, end), microseconds UTC, in the order of keys."""

    compiled: Compiled
    start: int
    end: int
    keys: tuple[str, ...]
    events: npt.NDArray[np.int64]
    batch_events: npt.NDArray[np.int64]
    states: tuple[pa.Array, ...]
    """One array per measure; row i belongs to `keys[i]`."""
    certificate: Certificate
    """One certificate for all keys together."""
    first_tile: int
    """The tile of the first event; without events the last tile before the end."""

    def results(self) -> list[dict[str, Any]]:
        """The results of each key, by name."""
        return results_of(self.compiled, self.states) if self.keys else []

    def total(self, rows: Sequence[int]) -> dict[str, Any]:
        """The results over all events of these keys: states are merged, so a value that several keys share counts as
        one distinct value.
        """
        taken = pa.array(rows, pa.int64())
        states = [column.take(taken) for column in self.states]
        groups = np.zeros(len(rows), np.int64)
        return results_of(self.compiled, merged_states(self.compiled.measures, states, groups, 1))[0]


@once_more
def states_of_all_keys(
    store: ViewStore, compiled: Compiled, start: int, end: int, visible: Callable[[str], bool] | None = None
) -> KeyedStates:
    """All keys with events in [start, end), both multiples of the tile, and the certificate of the whole.

    `visible`: only keys (canonical) for which it holds; the counts of the certificate are of these, too. Raises
    UserError for other bounds, StoreError if another definition version is served.
    """
    check_span(start, end, compiled.definition.tile)
    inside = within_edges((start, end)) if start > EVER else None  # rollups would hide the first tile
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        rows = span_rows(connection, scope, start, end, inside)
        late = sum(late_by_tile(connection, scope, start, end).values())
    if visible is not None:
        rows = [row for row in rows if visible(row.key)]
    rows.sort(key=itemgetter(0))  # rows that only live has come after all of batch's
    places: dict[str, int] = {}
    groups = np.fromiter((places.setdefault(row.key, len(places)) for row in rows), np.int64, len(rows))
    events, batch = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    np.add.at(events, groups, np.fromiter((row.events for row in rows), np.int64, len(rows)))
    from_batch = np.fromiter((0 if row.generation else row.events for row in rows), np.int64, len(rows))
    np.add.at(batch, groups, from_batch)
    columns = decode_states(compiled.measures, [row.states for row in rows], f"{compiled.definition.name}, all keys")
    if len(places) < len(rows):
        columns = merged_states(compiled.measures, columns, groups, len(places))
    certificate = certificate_of(compiled, scope, rows, late, end)
    first = min((row.tile for row in rows), default=end - compiled.definition.tile)
    return KeyedStates(compiled, start, end, tuple(places), events, batch, tuple(columns), certificate, first)
