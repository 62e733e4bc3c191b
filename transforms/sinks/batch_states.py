"""The Beam sink of a batch run's ids and rows of states; it is idempotent."""

from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.transforms.elements import TilesUpdate
from tandem.transforms.packing import bytes_of
from tandem.transforms.sinks.empty_batches import without_rows
from tandem.transforms.sinks.retrying import retrying
from tandem.views.storage.opening import open_store

__all__ = ["WriteBatchStates"]

_BUFFER: Final = 200
"""Tiles in one transaction, about."""
_BUFFER_IDS: Final = 1_000_000
"""Approximate number of a batch run's ids in one transaction."""
_BUFFER_STATES: Final = 16 << 20
"""Bytes of a batch run's states in one transaction; states are written less often than ids, since each time touches
pages of nearly all keys."""


@dataclass
class WriteBatchStates(beam.PTransform):  # type: ignore[misc]
    """Write the states of a batch run; emits each update once it is written."""

    definition: Definition
    store: str
    batch_run: str
    states: bool = True
    """Whether to write the states, and not the ids alone because `WriteLayers` writes the states."""

    def expand(self, updates: beam.PCollection[TilesUpdate]) -> beam.PCollection[TilesUpdate]:
        write = beam.ParDo(_WriteBatch(self.definition, self.store, self.batch_run, self.states))
        return updates | "Write" >> write.with_output_types(TilesUpdate)


class _WriteBatch(beam.DoFn):  # type: ignore[misc]
    """Writes in a thread of its own, so that the next tiles are computed during disk writes."""

    def __init__(self, definition: Definition, store: str, batch_run: str, states: bool = True) -> None:
        self._definition = definition
        self._store = store
        self._batch_run = batch_run
        self._states = states
        self._held: list[TilesUpdate] = []
        self._tiles = 0
        self._ids = 0
        self._blocks: list[TilesUpdate] = []
        self._bytes = 0
        self._writing: Future[list[TilesUpdate]] | None = None
        self._writer: ThreadPoolExecutor | None = None

    def teardown(self) -> None:
        if self._writer is not None:
            self._writer.shutdown()

    def start_bundle(self) -> None:
        self._held, self._tiles, self._ids, self._blocks, self._bytes = [], 0, 0, [], 0
        if self._writing is not None:  # of a bundle that failed: it comes again
            futures.wait([self._writing])
            self._writing = None

    def process(self, update: TilesUpdate) -> Iterator[TilesUpdate]:
        if self._states:
            self._bytes += bytes_of(update.block)
        else:
            update = _without_states(update)
        self._held.append(update)
        self._tiles += len(update.places)
        self._ids += update.ids.num_rows
        if self._tiles >= _BUFFER or self._ids >= _BUFFER_IDS or self._bytes >= _BUFFER_STATES:
            yield from self._written()
            self._write(all_states=self._bytes >= _BUFFER_STATES)

    def finish_bundle(self) -> Iterator[Any]:
        written = self._written()
        if self._held or self._blocks:
            self._write(all_states=True)
            written += self._written()
        forever = GlobalWindow()
        for update in written:
            yield WindowedValue(update, forever.max_timestamp(), [forever])

    def _write(self, *, all_states: bool) -> None:
        """Start writing the collected ids and, now or later in the bundle, their states."""
        self._writer = self._writer or ThreadPoolExecutor(1, "write-batch")
        held, self._held, self._tiles, self._ids = self._held, [], 0, 0
        parts: list[TilesUpdate] = held
        if self._states and (self._blocks or not all_states):
            parts = [_without_states(update) for update in held]
            self._blocks += [_without_ids(update) for update in held]
        if all_states:
            parts, self._blocks, self._bytes = [*parts, *self._blocks], [], 0
        self._writing = self._writer.submit(_write_updates, self._definition, self._store, self._batch_run, parts, held)

    def _written(self) -> list[TilesUpdate]:
        """The updates of the pending write, once it is done. Raises its error."""
        writing, self._writing = self._writing, None
        return writing.result() if writing is not None else []


def _write_updates(
    definition: Definition, url: str, batch_run: str, parts: list[TilesUpdate], updates: list[TilesUpdate]
) -> list[TilesUpdate]:
    """Write the parts; returns the updates."""
    store, compiled = open_store(url), compile_definition(definition)
    tiles = [tile for part in parts for tile in part.by_place()]
    retrying(lambda: store.batch.write(compiled, batch_run, tiles))
    return updates


def _without_states(update: TilesUpdate) -> TilesUpdate:
    return replace(update, block=without_rows(update.block), rows=(0,) * len(update.rows))


def _without_ids(update: TilesUpdate) -> TilesUpdate:
    none, tallies = (0,) * len(update.counted), ((),) * len(update.tallies)
    return replace(update, ids=without_rows(update.ids), counted=none, tallies=tallies)
