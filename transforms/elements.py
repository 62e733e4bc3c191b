"""What travels between transforms, and the deterministic coders that take it over the wire.

Between source and shuffle an element is a batch, not an event. No element ever falls back to pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from apache_beam import coders

from tandem.schemas.messages import DeadLetter, Decoded
from tandem.schemas.states import from_ipc, to_ipc
from tandem.transforms.packing import PackedCoder, pack, unpack

__all__ = [
    "DeadLetterBatch",
    "DecodedSegment",
    "FoldUpdate",
    "RecordBatchCoder",
    "ReplayOutcome",
    "SegmentTally",
    "SourceBatch",
    "Straddler",
    "Tally",
    "TileKey",
    "register_coders",
]

_FEW: Final = 64

TileKey = tuple[int, int]
"""(start of the tile in microseconds UTC, first bucket of the shard of keys, see tandem.schemas.buckets); on its way to
a worker as `transforms.routing.spreading` has it.
"""


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
    """Of the ids of the events that counted (`views.digests.digest_of_ids`): the same in whatever order they came."""


@dataclass(frozen=True, slots=True)
class Straddler:
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
    straddlers: tuple[Straddler, ...]
    ids: pa.RecordBatch
    """The ids counted since the update before: columns HASH, CONTENT, GENERATION."""
    late: pa.RecordBatch
    """The ids that came too late since the update before, the same columns."""
    timing: str
    """'early', 'on time', 'late', or 'batch'."""
    attempt: int = 0
    """How often the rows of this tile and shard had to be replaced, this time included."""
    replaces: bool = False
    """It holds every key, and takes the place of all rows, tallies and straddlers of the tile and shard."""


class RecordBatchCoder(coders.Coder):  # type: ignore[misc]
    """A record batch as an Arrow IPC stream."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        return to_ipc(_without_strangers(value))

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        return from_ipc(encoded)

    def estimate_size(self, value: pa.RecordBatch) -> int:
        return int(value.nbytes)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return pa.RecordBatch  # type: ignore[no-any-return]


def _without_strangers(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A slice has the dictionary of the whole: where that is large, only what the slice needs of it goes with it."""
    for index, column in enumerate(batch.columns):
        if pa.types.is_dictionary(column.type) and len(column.dictionary) > max(len(column), _FEW):
            own = column.dictionary_decode().dictionary_encode()
            batch = batch.set_column(index, batch.schema.field(index), own)
    return batch


def _letter_header(letter: DeadLetter) -> list[Any]:
    return [letter.reason, letter.stage, letter.row, letter.message_id, letter.publish_time, letter.attributes]


def _letter(header: list[Any], payload: bytes) -> DeadLetter:
    return DeadLetter(payload, *header)


class SourceBatchCoder(PackedCoder):
    """Coder of SourceBatch."""

    value_type = SourceBatch

    def batches_of(self, value: SourceBatch) -> Sequence[pa.RecordBatch]:
        return (value.decoded.events, value.messages) if value.messages is not None else (value.decoded.events,)

    def encode(self, value: SourceBatch) -> bytes:
        dead = value.decoded.dead
        place = [value.position, value.number, value.generation, value.source]
        header = [*place, value.watermark, value.reported, value.opening]
        rows = np.ascontiguousarray(value.decoded.rows, dtype="<i8").tobytes()
        messages = to_ipc(value.messages) if value.messages is not None else b""
        parts = [to_ipc(value.decoded.events), rows, messages, *(letter.payload for letter in dead)]
        return pack([header, [_letter_header(letter) for letter in dead]], parts)

    def decode(self, encoded: bytes) -> SourceBatch:
        (header, letters), (events, rows, messages, *payloads) = unpack(encoded)
        dead = tuple(_letter(*pair) for pair in zip(letters, payloads, strict=True))
        decoded = Decoded(from_ipc(events), np.frombuffer(rows, "<i8"), dead)
        position, number, generation, source, watermark, reported, opening = header
        raw = from_ipc(messages) if messages else None
        return SourceBatch(position, number, generation, source, watermark, decoded, reported, raw, opening)


class DecodedSegmentCoder(PackedCoder):
    """Coder of DecodedSegment."""

    value_type = DecodedSegment

    def batches_of(self, value: DecodedSegment) -> Sequence[pa.RecordBatch]:
        return [batch.decoded.events for batch in value.batches]

    def encode(self, value: DecodedSegment) -> bytes:
        return pack(None, [SourceBatchCoder().encode(batch) for batch in value.batches])

    def decode(self, encoded: bytes) -> DecodedSegment:
        _, parts = unpack(encoded)
        return DecodedSegment(tuple(SourceBatchCoder().decode(part) for part in parts))


class SegmentTallyCoder(PackedCoder):
    """Coder of SegmentTally."""

    value_type = SegmentTally

    def encode(self, value: SegmentTally) -> bytes:
        counts = [value.received, value.routed, value.filtered, value.dead]
        header = [value.position, value.number, value.generation, *counts, value.late, value.reported, value.tiles]
        rows = np.asarray(value.dead_rows, "<i8").tobytes()
        return pack([header, value.duplicates, [astuple(replay) for replay in value.replays]], [rows])

    def decode(self, encoded: bytes) -> SegmentTally:
        (header, duplicates, replays), (rows,) = unpack(encoded)
        position, number, generation, received, routed, filtered, dead, late, reported, tiles = header
        by_tile = tuple((tile, count) for tile, count in late)
        counts = (received, routed, filtered, dead)
        dead_rows = tuple(np.frombuffer(rows, "<i8").tolist())
        outcomes = tuple(ReplayOutcome(*replay) for replay in replays)
        base = SegmentTally(position, number, generation, *counts, by_tile, reported, tuple(tiles))
        return replace(base, duplicates=duplicates, dead_rows=dead_rows, replays=outcomes)


class DeadLetterBatchCoder(PackedCoder):
    """Coder of DeadLetterBatch."""

    value_type = DeadLetterBatch

    def encode(self, value: DeadLetterBatch) -> bytes:
        replays = [astuple(replay) for replay in value.replays]
        header = [value.position, value.number, value.generation, [_letter_header(x) for x in value.letters], replays]
        return pack(header, [letter.payload for letter in value.letters])

    def decode(self, encoded: bytes) -> DeadLetterBatch:
        (position, number, generation, letters, replays), payloads = unpack(encoded)
        dead = tuple(_letter(*pair) for pair in zip(letters, payloads, strict=True))
        return DeadLetterBatch(position, number, generation, dead, tuple(ReplayOutcome(*replay) for replay in replays))


class FoldUpdateCoder(PackedCoder):
    """Coder of FoldUpdate."""

    value_type = FoldUpdate

    def batches_of(self, value: FoldUpdate) -> Sequence[pa.RecordBatch]:
        return (value.block, value.ids, value.late)

    def encode(self, value: FoldUpdate) -> bytes:
        tallies = [[t.generation, t.counted, t.duplicates, t.conflicts, t.digest] for t in value.tallies]
        straddlers = [[s.hash, s.content, s.counted_generation, s.earlier_generation] for s in value.straddlers]
        header = [value.tile, value.shard, tallies, straddlers, value.timing, value.attempt, value.replaces]
        return pack(header, [to_ipc(value.block), to_ipc(value.ids), to_ipc(value.late)])

    def decode(self, encoded: bytes) -> FoldUpdate:
        (tile, shard, tallies, straddlers, *rest), (block, ids, late) = unpack(encoded)
        return FoldUpdate(
            tile,
            shard,
            from_ipc(block),
            tuple(Tally(*tally) for tally in tallies),
            tuple(Straddler(*straddler) for straddler in straddlers),
            from_ipc(ids),
            from_ipc(late),
            *rest,
        )


def register_coders() -> None:
    """Tell Beam the coders of all elements; importing this module does it."""
    coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
    for coder in (SourceBatchCoder, DecodedSegmentCoder, SegmentTallyCoder, DeadLetterBatchCoder, FoldUpdateCoder):
        coders.registry.register_coder(coder.value_type, coder)


register_coders()
