"""The elements between transforms, as frozen values; `transforms.elements` re-exports them, with their coders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from tandem.schemas.messages import DeadLetter, Decoded

__all__ = [
    "CrossBoundaryDuplicate",
    "DeadLetterBatch",
    "DecodedSegment",
    "FoldUpdate",
    "ReplayOutcome",
    "SegmentTally",
    "SourceBatch",
    "Tally",
    "TileCounts",
    "TilesUpdate",
]


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """One segment of the journal, or one piece of a file, decoded for one source section."""

    position: str
    """The lane's path in the journal (`RUN/LANE`), or the file's path."""
    number: int
    """The segment's number in its lane, or the piece's in its file."""
    generation: int
    source: str
    """The version of the source section of the definitions that read it."""
    watermark: int | None
    """The lane's watermark before this segment, microseconds UTC, which decides which events are late. None: none
    is."""
    decoded: Decoded
    reported: int | None = None
    """The run's common watermark when this was emitted, microseconds UTC: it never falls afterwards."""
    messages: pa.RecordBatch | None = None
    """The raw messages (MESSAGE_SCHEMA), so that records that fail later still become dead letters byte for byte."""
    opening: int | None = None
    """The number of the reader's opening segment in its lane; see `tandem.transforms.sources.reader_epochs`."""


@dataclass(frozen=True, slots=True)
class DecodedSegment:
    """One segment of the journal, decoded for every source section of the run: an element of the source."""

    batches: tuple[SourceBatch, ...]


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """The outcome of one replay of a dead letter."""

    row: int
    """The row of the replay in its segment."""
    original: str
    """LANE/NUMBER of the original's segment."""
    original_row: int
    attempt: int
    """1 for the first replay of the original."""
    decoded: bool
    """Whether it is an event (counted, filtered, late or a duplicate)."""
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SegmentTally:
    """The accounting of one source batch's records: received = routed + filtered + late + dead + duplicates."""

    position: str
    number: int
    generation: int
    received: int
    routed: int
    filtered: int
    dead: int
    late: tuple[tuple[int, int], ...]
    """(tile, number of late events), ascending by tile."""
    reported: int | None = None
    """The run's common watermark, as in SourceBatch."""
    tiles: tuple[int, ...] = ()
    """The tiles of its events, late ones included, ascending: a repair reads only segments with events of its tiles."""
    duplicates: int = 0
    """Replays of records that are counted themselves, where the definition doesn't deduplicate."""
    dead_rows: tuple[int, ...] = ()
    """The dead records' rows, ascending."""
    replays: tuple[ReplayOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetterBatch:
    """The dead letters of one source batch, for one definition."""

    position: str
    number: int
    generation: int
    letters: tuple[DeadLetter, ...]
    replays: tuple[ReplayOutcome, ...] = ()
    """The outcomes of replays, those among the letters and the others."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The accounting of one generation's routed events in one tile and shard, since the run began."""

    generation: int
    counted: int
    duplicates: int
    conflicts: int
    digest: int = 0
    """The digest of the counted events' ids, in any order (`views.reconcile.digests.digest_of_ids`)."""


@dataclass(frozen=True, slots=True)
class CrossBoundaryDuplicate:
    """An event that live counted in a later generation than that of another copy."""

    hash: int
    content: int
    counted_generation: int
    earlier_generation: int


@dataclass(frozen=True, slots=True)
class FoldUpdate:
    """New whole states of the changed keys of one tile and shard."""

    tile: int
    shard: int
    """The first bucket of the shard."""
    block: pa.RecordBatch
    tallies: tuple[Tally, ...]
    cross_duplicates: tuple[CrossBoundaryDuplicate, ...]
    ids: pa.RecordBatch
    """The ids counted since the previous update: columns HASH, CONTENT, GENERATION."""
    late: pa.RecordBatch
    """The ids of late events since the previous update: the same columns."""
    timing: str
    """'early', 'on time', 'late', or 'batch'."""
    attempt: int = 0
    """How often the rows of this tile and shard had to be replaced, including this time."""
    replaces: bool = False
    """Whether it holds every key, and replaces all rows, tallies and cross-boundary duplicates of the tile and
    shard."""


@dataclass(frozen=True, slots=True)
class TileCounts:
    """The states and ids that a batch run counted in one tile and shard."""

    tile: int
    shard: int
    """The first bucket of the shard."""
    block: pa.RecordBatch
    tallies: tuple[Tally, ...]
    ids: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class TilesUpdate:
    """The states and ids that a batch run counted in several tiles and shards, row after row.

    Small tiles are one element together: an element costs as much as hundreds of events.
    """

    places: tuple[tuple[int, int], ...]
    """The tile, and the first bucket of the shard, of each."""
    tallies: tuple[tuple[Tally, ...], ...]
    block: pa.RecordBatch
    """The blocks of all, one after the other."""
    rows: tuple[int, ...]
    """The number of rows of `block` of each."""
    ids: pa.RecordBatch
    """The ids that were counted: columns HASH, CONTENT, GENERATION."""
    counted: tuple[int, ...]
    """The number of rows of `ids` of each."""

    def by_place(self) -> Iterator[TileCounts]:
        """Each tile and shard by itself."""
        blocks, ids = _cut(self.block, self.rows), _cut(self.ids, self.counted)
        for (tile, shard), block, tallies, mine in zip(self.places, blocks, self.tallies, ids, strict=True):
            yield TileCounts(tile, shard, block, tallies, mine)


def _cut(batch: pa.RecordBatch, sizes: tuple[int, ...]) -> Iterator[pa.RecordBatch]:
    if not batch.num_rows:  # a slice takes 20 µs
        return (batch for _ in sizes)
    return (batch.slice(end - size, size) for end, size in zip(accumulate(sizes), sizes, strict=True))
