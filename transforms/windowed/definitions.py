"""Reads a definition's events as record batches, from files or messages, and measures them in Beam's windows."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.error_handling import ErrorHandler

from tandem.formats.files.pieces import FilePiece
from tandem.formats.files.reading import read_piece
from tandem.schemas.columns import ID
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.messages import Decoded
from tandem.transforms.batch.work import FileWork, Work
from tandem.transforms.elements import SourceBatch
from tandem.transforms.sources.native import DecodeNative
from tandem.transforms.windowed.events.elements import DEAD, BadEvent
from tandem.transforms.windowed.transform import WindowedMeasures

__all__ = ["BatchesOfFiles", "BatchesOfMessages", "measures_of"]

_EVENT_ID: Final = "tandem_event_id"
"""The event id as one column, whatever the number of its fields."""


def measures_of(
    definition: Definition, windows: beam.WindowInto, deduplicate: bool, shards: int, error_handler: ErrorHandler
) -> WindowedMeasures:
    """The definition's where, derived fields, key, measures and derived results over this module's batches."""
    compiled = compile_definition(definition)
    return WindowedMeasures(
        measures=definition.measures,
        keys=definition.key,
        fields=_fields(compiled),
        event_time=definition.source.event_time,
        event_id=_EVENT_ID,
        where=definition.where,
        derive=definition.derive,
        derive_results=definition.derive_results,
        deduplicate=deduplicate,
        windows=windows,
        shards=shards,
        error_handler=error_handler,
    )


def _fields(compiled: CompiledDefinition) -> pa.Schema:
    events = compiled.events_schema
    source = [events.field(name) for name in compiled.source_columns]
    return pa.schema([*source, events.field(ID).with_name(_EVENT_ID)])


@dataclass
class BatchesOfFiles(beam.PTransform):  # type: ignore[misc]
    """Record batches (main output) from pieces of files, and the records that can't be decoded (DEAD)."""

    definition: Definition
    pieces: Sequence[FilePiece]

    def expand(self, begin: beam.pvalue.PBegin) -> Any:
        now = time.time_ns() // 1000
        work = [Work(FileWork(piece, number, 0, now)) for number, piece in enumerate(self.pieces)]
        pieces = begin | "Pieces" >> beam.Create(work).with_output_types(Work)
        return pieces | "Spread" >> beam.Reshuffle() | "Read" >> _with_dead(_ReadPiece(self.definition))


@dataclass
class BatchesOfMessages(beam.PTransform):  # type: ignore[misc]
    """Record batches (main output) from messages of Pub/Sub, and those that can't be decoded (DEAD)."""

    definition: Definition
    run: str

    def expand(self, messages: beam.PCollection) -> Any:
        decoded = messages | "Decode" >> DecodeNative((self.definition,), self.run)
        return decoded | "Batches" >> _with_dead(_OfBatch(self.definition))


def _with_dead(fn: beam.DoFn) -> beam.PTransform:
    typed = beam.ParDo(fn).with_output_types(pa.RecordBatch, **{DEAD: BadEvent})
    return typed.with_outputs(DEAD, main="batches")


class _OfDecoded(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._compiled = compile_definition(definition)

    def outputs(self, decoded: Decoded) -> Iterator[Any]:
        """The events as a batch of `_fields`, and the dead letters."""
        fields = _fields(self._compiled)
        columns = [decoded.events.column(ID if name == _EVENT_ID else name) for name in fields.names]
        if decoded.events.num_rows:
            yield pa.RecordBatch.from_arrays(columns, schema=fields)
        for letter in decoded.dead:
            yield TaggedOutput(DEAD, BadEvent(_text(letter.payload), f"{letter.stage}: {letter.reason}"))


class _ReadPiece(_OfDecoded):
    def process(self, work: Work) -> Iterator[Any]:
        item, columns = work.item, self._compiled.source_columns
        if isinstance(item, FileWork):
            for decoded in read_piece(self._definition.source, columns, item.piece, item.arrival_time):
                yield from self.outputs(decoded)


class _OfBatch(_OfDecoded):
    def process(self, batch: SourceBatch) -> Iterator[Any]:
        yield from self.outputs(batch.decoded)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(payload).decode()}"
