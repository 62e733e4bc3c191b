"""Decodes segments and pieces of files to source batches, by the same functions for live and backfill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.files.reading import FilePiece, read_piece
from tandem.formats.messages import decode_messages
from tandem.schemas.columns import TIME
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, Source
from tandem.schemas.errors import UserError
from tandem.schemas.messages import Decoded
from tandem.transforms.elements import SourceBatch

__all__ = ["PIECE_BATCHES", "SourceReading", "observe", "read_file_piece", "source_readings"]

PIECE_BATCHES = 1_000_000
"""The factor of a piece's number in the numbers of its batches."""


@dataclass(frozen=True, slots=True)
class SourceReading:
    """A source section, and the fields that its definitions read: one decoding serves them all."""

    source: Source
    columns: tuple[str, ...]


def source_readings(definitions: Iterable[Definition]) -> tuple[SourceReading, ...]:
    """One reading for each distinct source section, with the union of the fields.

    Raises UserError for two definitions that share a source section but don't list the same schema revisions: a message
    that one can read would be a dead letter of the other.
    """
    readings: dict[str, SourceReading] = {}
    for definition in definitions:
        known = readings.get(definition.source.version)
        if known is not None and known.source.revisions != definition.source.revisions:
            raise UserError(
                f"{definition.name}: its source is shared with another definition that lists other schema revisions; "
                "give both the same source.revisions, or run them apart"
            )
        columns = known.columns if known else ()
        added = tuple(c for c in compile_definition(definition).source_columns if c not in columns)
        readings[definition.source.version] = SourceReading(definition.source, columns + added)
    return tuple(readings.values())


def observe(
    readings: Sequence[SourceReading], messages: pa.RecordBatch
) -> tuple[Mapping[str, Decoded], dict[str, int | None]]:
    """(decoded messages, largest event time), both by source version."""
    decoded = {r.source.version: decode_messages(r.source, r.columns, messages) for r in readings}
    return decoded, {version: pc.max(d.events.column(TIME)).as_py() for version, d in decoded.items()}


def read_file_piece(
    reading: SourceReading, piece: FilePiece, number: int, generation: int, arrival_time: int
) -> Iterator[SourceBatch]:
    """The batches of one piece of a file. Raises the errors of `formats.files.reading.read_piece`."""
    for index, decoded in enumerate(read_piece(reading.source, reading.columns, piece, arrival_time)):
        at = number * PIECE_BATCHES + index
        yield SourceBatch(piece.ref.path, at, generation, reading.source.version, None, decoded)
