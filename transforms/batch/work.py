"""Items of work of a backfill, which a runner can distribute: segments of the journal and pieces of files."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import apache_beam as beam

from tandem.formats.files.reading import FilePiece, FileRef
from tandem.journal.index import SegmentRef
from tandem.journal.reading import read_segment
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.opening import open_blobs
from tandem.schemas.definition.loading import Definition
from tandem.transforms.elements import SourceBatch
from tandem.transforms.packing import PackedCoder, pack, unpack
from tandem.transforms.sources.decoding import observe, read_file_piece, source_readings
from tandem.transforms.sources.progress_board import note_read

__all__ = ["FileWork", "ReadWork", "SegmentWork", "Work", "read_work"]


@dataclass(frozen=True, slots=True)
class SegmentWork:
    """Segments of the journal that are read together."""

    refs: tuple[SegmentRef, ...]


@dataclass(frozen=True, slots=True)
class FileWork:
    """A piece of a file."""

    piece: FilePiece
    number: int
    """The number of the piece in its file."""
    generation: int
    arrival_time: int
    """Microseconds UTC; replaces the publish time, which records of files don't have."""


@dataclass(frozen=True, slots=True)
class Work:
    """One item of work."""

    item: SegmentWork | FileWork


class WorkCoder(PackedCoder):
    """Coder of Work: JSON."""

    value_type = Work

    def encode(self, value: Work) -> bytes:
        return pack([type(value.item).__name__, asdict(value.item)])

    def decode(self, encoded: bytes) -> Work:
        (kind, fields), _ = unpack(encoded)
        if kind == "SegmentWork":
            return Work(SegmentWork(tuple(SegmentRef(**ref) for ref in fields["refs"])))
        piece = FilePiece(**{**fields["piece"], "ref": FileRef(**fields["piece"]["ref"])})
        return Work(FileWork(**{**fields, "piece": piece}))


beam.coders.registry.register_coder(Work, WorkCoder)


@dataclass
class ReadWork(beam.PTransform):  # type: ignore[misc]
    """Read and decode items of work: PCollection[SourceBatch]."""

    definitions: tuple[Definition, ...]
    """Definitions with one source section, so that one decoding serves them all."""
    journal: str
    board: str | None = None
    """The folder in which readers on this machine record their progress."""

    def expand(self, work: beam.PCollection[Work]) -> beam.PCollection[SourceBatch]:
        read = beam.ParDo(_Read(self.definitions, self.journal, self.board)).with_output_types(SourceBatch)
        return work | "Spread" >> beam.Reshuffle() | "Read" >> read


class _Read(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definitions: tuple[Definition, ...], journal: str, board: str | None) -> None:
        self._definitions = definitions
        self._journal = journal
        self._board = board

    def process(self, work: Work) -> Iterator[SourceBatch]:
        for batch in read_work(self._definitions, work, open_blobs(self._journal)):
            yield batch
            if self._board is not None:
                letters = batch.decoded.dead
                size = sum(len(letter.payload) + 1 for letter in letters)
                note_read(self._board, batch.decoded.events.num_rows, dead=len(letters), dead_bytes=size)
        if self._board is not None:
            note_read(self._board, 0, whole=True)


def read_work(definitions: Sequence[Definition], work: Work, journal: BlobStore) -> Iterator[SourceBatch]:
    """Read and decode one item of work. Raises SegmentError or SourceFileError if it has changed since it was
    listed.
    """
    (reading,) = source_readings(definitions)
    item = work.item
    if isinstance(item, FileWork):
        yield from read_file_piece(reading, item.piece, item.number, item.generation, item.arrival_time)
        return
    for ref in item.refs:
        segment = read_segment(journal, ref)
        decoded, _ = observe([reading], segment.messages)
        version = reading.source.version
        place = (lane_name(ref.run, ref.lane), ref.number, ref.generation, version)
        yield SourceBatch(*place, watermark=None, decoded=decoded[version], messages=segment.messages)
