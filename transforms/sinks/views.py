"""Beam sinks of live views and of dead letters; they are idempotent."""

import hashlib
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue

from tandem.formats.dead_letters.files import decode, encode, letters_name
from tandem.journal.storage.blobs import BlobExistsError
from tandem.journal.storage.opening import open_blobs
from tandem.journal.tail import is_follower
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.telemetry.traces import Segment
from tandem.transforms.elements import DeadLetterBatch, FoldUpdate, SegmentTally
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sinks.retrying import retrying
from tandem.transforms.sources.traced import carried, traced
from tandem.views.dead_letters.facts import LetterNote
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = [
    "WriteDeadLetters",
    "WriteLiveStates",
    "WriteSegmentTallies",
    "WriteStates",
    "serve_when_caught_up",
]

_BUFFER: Final = 200


def serve_when_caught_up(store: ViewStore, definition: Definition, run: str) -> bool:
    """Serve the live run once it holds everything that the served run holds; returns whether it is served now.

    Its base batch run, if never served, is served with it. If another version of the definition is served, nothing
    changes: promoting is the user's decision. A follower replaces only followers that started before it, never a run
    that writes: two would replace each other for ever.
    """
    served = store.publishing.served(definition.name)
    if served is not None and served.live_run == run:
        return True
    if served is not None and (served.version != definition.version or _yields(run, served.live_run)):
        return False
    seen = served.ordinal if served is not None else 0
    base = store.live.get(definition.version, run).base_batch_run
    try:
        if base is None or any(p.batch_run == base for p in store.publishing.publications(definition.name)):
            store.publishing.serve_live(definition.name, definition.version, run, expected=seen)
        else:
            store.publishing.publish(definition.name, definition.version, base, run, expected=seen)
    except PublishRefusedError:
        return False
    return True


def _yields(run: str, served: str | None) -> bool:
    return served is not None and is_follower(run) and (not is_follower(served) or served > run)


class _LiveWriter(beam.DoFn):  # type: ignore[misc]
    """Writes a bundle's elements in one transaction at its end, then serves the run if it has caught up."""

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

    def finish_bundle(self) -> Iterable[WindowedValue] | None:
        self.write_all()
        return None

    def write_all(self) -> None:
        """Write the rest of the bundle, and serve the run once it has caught up."""
        self._flush()
        if not self._served:
            store = open_store(self._live_run.store)
            self._served = retrying(lambda: serve_when_caught_up(store, self._definition, self._live_run.run))

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            store = open_store(self._live_run.store)
            retrying(lambda: self._write(store, rows))

    def _write(self, store: ViewStore, rows: list[Any]) -> None:
        raise NotImplementedError


class WriteStates(_LiveWriter):
    """The DoFn of `WriteLiveStates`."""

    def _write(self, store: ViewStore, rows: list[FoldUpdate]) -> None:
        assert self._compiled is not None
        with traced("store", lambda: carried([row.block for row in rows]), definition=self._definition.name):
            store.live.write(self._compiled, self._live_run.run, rows)


class _WriteTallies(_LiveWriter):
    def _write(self, store: ViewStore, rows: list[SegmentTally]) -> None:
        version, run = self._definition.version, self._live_run.run
        with traced("tally", lambda: [Segment(row.position, row.number) for row in rows]):
            store.live.write_segments(version, run, rows)
        if reported := [row.reported for row in rows if row.reported is not None]:
            store.live.set_watermark(version, run, max(reported), rows[0].position)


@dataclass
class WriteLiveStates(beam.PTransform):  # type: ignore[misc]
    """Upsert the whole states of changed keys into the live view."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, updates: beam.PCollection[FoldUpdate]) -> beam.PCollection[None]:
        return updates | "Write" >> beam.ParDo(WriteStates(self.definition, self.live_run)).with_output_types(None)


@dataclass
class WriteSegmentTallies(beam.PTransform):  # type: ignore[misc]
    """Write each segment's accounting, and its late events, for conservation and certificates."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, tallies: beam.PCollection[SegmentTally]) -> beam.PCollection[None]:
        return tallies | "Write" >> beam.ParDo(_WriteTallies(self.definition, self.live_run)).with_output_types(None)


@dataclass
class WriteDeadLetters(beam.PTransform):  # type: ignore[misc]
    """Write one file for each source batch with dead letters, named by the batch's position, where replays find it."""

    definition: Definition
    folder: str
    store: str | None = None
    """URL of the view store, which records letters and replays; None: `WriteSegmentTallies` records them for live."""
    batch_run: str | None = None
    """The batch run that found them; required with `store`."""

    def expand(self, batches: beam.PCollection[DeadLetterBatch]) -> beam.PCollection[None]:
        write = beam.ParDo(_WriteLetters(self.definition.version, self.folder, self.store, self.batch_run))
        return batches | "Write" >> write.with_output_types(None)


class _WriteLetters(beam.DoFn):  # type: ignore[misc]
    def __init__(self, version: str, folder: str, store: str | None, batch_run: str | None) -> None:
        self._version = version
        self._folder = folder
        self._store = store
        self._batch_run = batch_run

    def process(self, batch: DeadLetterBatch) -> None:
        position = f"{batch.position}/{batch.number}"
        if batch.letters:
            self._write_file(position, batch)
        if self._store is not None and self._batch_run is not None:
            store, rows = open_store(self._store), [letter.row for letter in batch.letters]
            note, run = LetterNote(position, batch.generation, rows, batch.replays), self._batch_run
            retrying(lambda: store.dead_letters.note(self._version, run, [note]))

    def _write_file(self, position: str, batch: DeadLetterBatch) -> None:
        """Write a batch's file. A later run may find other letters, such as with more revisions: its file gets a name
        of its own.
        """
        blobs, name = open_blobs(self._folder), f"{self._version}/{letters_name(batch.position, batch.number)}"
        data = encode(batch.letters, position, written_at=time.time_ns() // 1000, version=self._version)
        try:
            blobs.create(f"{name}.avro", data)
        except BlobExistsError:
            rows = {letter.row for letter in batch.letters}
            known = {stored.letter.row for stored in decode(blobs.read(f"{name}.avro"), name)}
            if rows - known:
                digest = hashlib.blake2b(repr(sorted(rows)).encode(), digest_size=4).hexdigest()
                with suppress(BlobExistsError):
                    blobs.create(f"{name}-{digest}.avro", data)
