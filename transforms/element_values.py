"""What travels between transforms, as frozen values; `transforms.elements` gives them, with their coders."""

from __future__ import annotations

from dataclasses import dataclass

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
]


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """One segment of the journal, or one piece of a file, decoded for one source."""

    position: str
    """The lane's path in the journal (`RUN/LANE`), or the file's path."""
    number: int
    """The segment's number in its lane, or the piece's in its file."""
    generation: int
    source: str
    """Version of the source section of the definitions that read it."""
    watermark: int | None
    """The lane's watermark before this segment, microseconds UTC: decides what is late. None: nothing is."""
    decoded: Decoded
    reported: int | None = None
    """The run's common watermark when this was emitted, microseconds UTC: what is emitted later has none lower."""
    messages: pa.RecordBatch | None = None
    """The raw messages (MESSAGE_SCHEMA), so that what fails later still becomes a dead letter byte for byte."""
    opening: int | None = None
    """Number of the segment with which the reader has opened its lane; see tandem.transforms.sources.reader_epochs."""


@dataclass(frozen=True, slots=True)
class DecodedSegment:
    """One segment of the journal, decoded for every source that the run serves: what the source emits."""

    batches: tuple[SourceBatch, ...]


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What became of one record that is a replay of a dead letter."""

    row: int
    """Of the replay in its segment."""
    original: str
    """LANE/NUMBER of the segment that holds the original."""
    original_row: int
    attempt: int
    """1 for the first replay of the original."""
    decoded: bool
    """Whether it is an event (counted, filtered, late or a duplicate)."""
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SegmentTally:
    """Where the records of one source batch went: received = routed + filtered + late + dead + duplicates."""

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
    """As in SourceBatch."""
    tiles: tuple[int, ...] = ()
    """The tiles that its events lie in, late ones too, ascending: a repair reads only segments that hold its tiles."""
    duplicates: int = 0
    """Replays of records that are counted themselves, where copies aren't removed by their ids."""
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
    """What became of replays, those that are among the letters and the others."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the routed events of one generation in one tile and shard, since the run began."""

    generation: int
    counted: int
    duplicates: int
    conflicts: int
    digest: int = 0
    """Of the ids of the events that counted, in any order (`views.reconcile.digests.digest_of_ids`)."""


@dataclass(frozen=True, slots=True)
class CrossBoundaryDuplicate:
    """An event that live counted in a generation after that of another copy."""

    hash: int
    content: int
    counted_generation: int
    earlier_generation: int


@dataclass(frozen=True, slots=True)
class FoldUpdate:
    """New whole states of the keys of one tile and shard that changed."""

    tile: int
    shard: int
    """Its first bucket."""
    block: pa.RecordBatch
    tallies: tuple[Tally, ...]
    cross_duplicates: tuple[CrossBoundaryDuplicate, ...]
    ids: pa.RecordBatch
    """The ids counted since the update before: columns HASH, CONTENT, GENERATION."""
    late: pa.RecordBatch
    """The ids that came too late since the update before, the same columns."""
    timing: str
    """'early', 'on time', 'late', or 'batch'."""
    attempt: int = 0
    """How often the rows of this tile and shard had to be replaced, this time included."""
    replaces: bool = False
    """It holds every key, and takes the place of all rows, tallies and duplicates of the tile and shard."""
