"""Beam sinks of live and batch views and of dead letters; writing the same again changes nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from formats.dead_letters import encode
from journal.blobs import BlobExistsError, LocalBlobs
from schemas.compiled import CompiledDefinition, compile_definition
from schemas.definition import Definition
from schemas.errors import PublishRefusedError, StoreError
from transforms.elements import DeadLetterBatch, FoldUpdate, SegmentTally
from transforms.fold import LiveRunRef
from views.opening import open_store
from views.store import ViewStore

__all__ = ["WriteBatchStates", "WriteDeadLetters", "WriteLiveStates", "WriteSegmentTallies", "serve_when_caught_up"]

PATIENCE: Final = 300.0
"""Seconds for which a store that is locked or down is tried again before the pipeline fails."""
_BUFFER: Final = 200


def _patiently(write: Callable[[], Any]) -> Any:
    retrying = Retrying(
        retry=retry_if_exception_type(StoreError),
        wait=wait_exponential_jitter(initial=0.1, max=5.0),
        stop=stop_after_delay(PATIENCE),
        reraise=True,
    )
    return retrying(write)


def serve_when_caught_up(store: ViewStore, definition: Definition, run: str) -> bool:
    """Serve the live run once it holds all that the served run had; whether it is served now.

    Another version of the definition that is being served is left alone: promoting is for the user to decide.
    """
    served = store.served(definition.name)
    if served is not None and served.live_run == run:
        return True
    if served is not None and served.version != definition.version:
        return False
    try:
        store.serve_live(definition.name, definition.version, run, expected=served.ordinal if served else 0)
    except PublishRefusedError:
        return False
    return True


class _LiveWriter(beam.DoFn):  # type: ignore[misc]
    """Writes what a bundle brought in one transaction at its end, then asks whether the run may be served."""

    def __init__(self, definition: Definition, live_run: LiveRunRef) -> None:
        self._definition = definition
        self._live_run = live_run
        self._compiled: CompiledDefinition | None = None
        self._rows: list[Any] = []
        self._served = False

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def start_bundle(self) -> None:
        self._rows = []

    def process(self, row: Any) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BUFFER:
            self._flush()

    def finish_bundle(self) -> None:
        self._flush()
        if not self._served:
            store = open_store(self._live_run.store)
            self._served = bool(_patiently(lambda: serve_when_caught_up(store, self._definition, self._live_run.run)))

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            store = open_store(self._live_run.store)
            _patiently(lambda: self._write(store, rows))

    def _write(self, store: ViewStore, rows: list[Any]) -> None:
        raise NotImplementedError


class _WriteStates(_LiveWriter):
    def _write(self, store: ViewStore, rows: list[FoldUpdate]) -> None:
        assert self._compiled is not None
        store.write_live(self._compiled, self._live_run.run, rows)


class _WriteTallies(_LiveWriter):
    def _write(self, store: ViewStore, rows: list[SegmentTally]) -> None:
        version, run = self._definition.version, self._live_run.run
        store.write_segments(version, run, rows)
        reported = [row.reported for row in rows if row.reported is not None]
        if reported:
            store.set_watermark(version, run, max(reported))


@dataclass
class WriteLiveStates(beam.PTransform):  # type: ignore[misc]
    """Upsert the whole states of changed keys into the live view."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, updates: beam.PCollection[FoldUpdate]) -> beam.PCollection[None]:
        return updates | "Write" >> beam.ParDo(_WriteStates(self.definition, self.live_run)).with_output_types(None)


@dataclass
class WriteSegmentTallies(beam.PTransform):  # type: ignore[misc]
    """Write where each segment's records went, and its late events, for conservation and certificates."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, tallies: beam.PCollection[SegmentTally]) -> beam.PCollection[None]:
        return tallies | "Write" >> beam.ParDo(_WriteTallies(self.definition, self.live_run)).with_output_types(None)


@dataclass
class WriteBatchStates(beam.PTransform):  # type: ignore[misc]
    """Write the states of a batch run; passes each update on once it is written."""

    definition: Definition
    store: str
    batch_run: str

    def expand(self, updates: beam.PCollection[FoldUpdate]) -> beam.PCollection[FoldUpdate]:
        write = beam.ParDo(_WriteBatch(self.definition, self.store, self.batch_run))
        return updates | "Write" >> write.with_output_types(FoldUpdate)


class _WriteBatch(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definition: Definition, store: str, batch_run: str) -> None:
        self._definition = definition
        self._store = store
        self._batch_run = batch_run
        self._held: list[Any] = []

    def start_bundle(self) -> None:
        self._held = []

    def process(self, update: FoldUpdate) -> Iterator[FoldUpdate]:
        self._held.append(update)
        if len(self._held) >= _BUFFER:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        forever = GlobalWindow()
        for update in self._flush():
            yield WindowedValue(update, forever.max_timestamp(), [forever])

    def _flush(self) -> list[FoldUpdate]:
        held, self._held = self._held, []
        if held:
            store, compiled = open_store(self._store), compile_definition(self._definition)
            _patiently(lambda: store.write_batch(compiled, self._batch_run, held))
        return held


@dataclass
class WriteDeadLetters(beam.PTransform):  # type: ignore[misc]
    """One file per source batch that had dead letters, named by the batch's position: a replay finds it there."""

    definition: Definition
    folder: str
    store: str | None = None
    """URL of the view store, where they are noted as open; None: `WriteSegmentTallies` does so for live."""

    def expand(self, batches: beam.PCollection[DeadLetterBatch]) -> beam.PCollection[None]:
        write = beam.ParDo(_WriteLetters(self.definition.version, self.folder, self.store))
        return batches | "Write" >> write.with_output_types(None)


class _WriteLetters(beam.DoFn):  # type: ignore[misc]
    def __init__(self, version: str, folder: str, store: str | None) -> None:
        self._version = version
        self._folder = folder
        self._store = store

    def process(self, batch: DeadLetterBatch) -> None:
        position = f"{batch.position}/{batch.number}"
        now = time.time_ns() // 1000
        data = encode(batch.letters, position, written_at=now, version=self._version)
        with suppress(BlobExistsError):
            LocalBlobs(self._folder).create(f"{self._version}/{letters_name(batch)}.avro", data)
        if self._store is not None:
            store, noted = open_store(self._store), [(position, batch.generation, len(batch.letters))]
            _patiently(lambda: store.write_dead_letters(self._version, noted))


def letters_name(batch: DeadLetterBatch) -> str:
    """The file's name: the position with every sign that a path could mistake written as %XX."""
    return f"{quote(batch.position, safe='')}/{batch.number:012d}"
