"""Finds the segments of the journal and pieces of files to read for computing tiles again, as items of work."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tandem.formats.files.listing import file_at
from tandem.formats.files.reading import split
from tandem.journal.index import JournalIndex, SegmentRef
from tandem.journal.reading import segments_of
from tandem.journal.storage.blobs import BlobMissingError
from tandem.journal.storage.layout import generation_path, lane_name
from tandem.journal.storage.opening import journal_exists, open_blobs
from tandem.pipelines.bounded.work_items import PIECE_BYTES
from tandem.schemas.definition.loading import Source
from tandem.schemas.errors import SegmentError, SourceFileError, UserError
from tandem.transforms.batch.work import FileWork, SegmentWork, Work
from tandem.transforms.sources.decoding import PIECE_BATCHES
from tandem.views.answers.reading.scope import Scope
from tandem.views.batch.chain_sources import ChainFile, chain_sources, holding
from tandem.views.store import ViewStore

__all__ = ["Reread", "begun_at", "plan_reread"]

_SEGMENTS: Final = 64
"""Most segments in one item of work."""


@dataclass(frozen=True, slots=True)
class Reread:
    """The segments and pieces to read again."""

    items: tuple[Work, ...]
    segments: int
    segments_of_all: int
    pieces: int
    pieces_of_all: int


def plan_reread(
    store: ViewStore, scope: Scope, source: Source, journal: str, tiles: Collection[int], piece_memory: int
) -> Reread:
    """Plan a reading of everything that holds events of these tiles, or whose tiles were never noted.

    `piece_memory`: most bytes of memory for reading one piece of a file. Raises UserError without a journal,
    SegmentError for a missing segment, SourceFileError for a missing or changed file.
    """
    sources = chain_sources(store, scope)
    held, known = holding(store, scope.definition, tiles)
    refs = _segments(scope, journal, [file.path for file in sources.segments], len(tiles)) if sources.segments else []
    wanted = [ref for ref in refs if _wanted((lane_name(ref.run, ref.lane), ref.number), held, known)]
    pieces, of_all = list[Work](), 0
    noted = {position for position, _ in known}
    for file in sources.files:
        all_pieces = list(_pieces(file, source, piece_memory))
        of_all += len(all_pieces)
        batches = {number // PIECE_BATCHES for position, number in held if position == file.file.path}
        pieces += [Work(w) for w in all_pieces if file.file.path not in noted or w.number in batches]
    chunks = [tuple(wanted[at : at + _SEGMENTS]) for at in range(0, len(wanted), _SEGMENTS)]
    items = (*pieces, *(Work(SegmentWork(chunk)) for chunk in chunks))
    return Reread(items, len(wanted), len(refs), len(pieces), of_all)


def _wanted(place: tuple[str, int], held: set[tuple[str, int]], known: set[tuple[str, int]]) -> bool:
    return place in held or place not in known


def _segments(scope: Scope, journal: str, listed: Sequence[str], tiles: int) -> list[SegmentRef]:
    """All segments up to the boundary, checked against those that batch listed."""
    if not journal_exists(journal):
        raise UserError(
            f"{tiles} tiles must be computed again, and there is no journal at {journal}; --journal names it"
        )
    index = JournalIndex(open_blobs(journal))
    index.refresh()
    refs = segments_of(index, scope.boundary)
    gone = sorted({*listed} - {ref.path for ref in refs})
    if gone:
        raise SegmentError(f"{gone[0]}: gone from the journal; {scope.batch_run} and its ancestors read it")
    return refs


def _pieces(file: ChainFile, source: Source, piece_memory: int) -> Iterator[FileWork]:
    ref = file_at(file.file.path, piece_memory)
    if ref.digest != file.file.digest:
        raise SourceFileError(
            f"{ref.path}: has changed since it was counted: digest {file.file.digest[:12]} then, {ref.digest[:12]} now"
        )
    for number, piece in enumerate(split(ref, PIECE_BYTES, source)):
        yield FileWork(piece, number, file.generation, file.arrival_time)


def begun_at(journal: str, generations: Collection[int]) -> dict[int, int]:
    """The starts of generations, by the wall clock in their markers (microseconds UTC); only of those that have one."""
    blobs, found = open_blobs(journal), dict[int, int]()
    if not journal_exists(journal):
        return found
    for generation in generations:
        try:
            found[generation] = int(json.loads(blobs.read(generation_path(generation)))["begun_at"])
        except (BlobMissingError, ValueError, KeyError, TypeError):
            continue  # informative only
    return found
