"""The elements between transforms, and their deterministic coders.

Between source and shuffle an element is a batch, not an event. No element falls back to pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from apache_beam import coders

from tandem.schemas.messages import DeadLetter, Decoded
from tandem.schemas.states import from_ipc, to_ipc
from tandem.transforms.element_values import (
    CrossBoundaryDuplicate,
    DeadLetterBatch,
    DecodedSegment,
    FoldUpdate,
    ReplayOutcome,
    SegmentTally,
    SourceBatch,
    Tally,
    TileCounts,
    TilesUpdate,
)
from tandem.transforms.packing import PackedCoder, bytes_of, pack, unpack

__all__ = [
    "CrossBoundaryDuplicate",
    "DeadLetterBatch",
    "DecodedSegment",
    "FoldUpdate",
    "RecordBatchCoder",
    "ReplayOutcome",
    "SegmentTally",
    "SourceBatch",
    "Tally",
    "TileCounts",
    "TileKey",
    "TilesUpdate",
    "register_coders",
]

_FEW: Final = 64

TileKey = tuple[int, int]
"""(start of the tile in microseconds UTC, first bucket of the shard of keys, see `tandem.schemas.buckets`); in transit
it is encoded by `transforms.routing.spreading`."""


class RecordBatchCoder(coders.Coder):  # type: ignore[misc]
    """A record batch as an Arrow IPC stream."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        return to_ipc(_with_compact_dictionaries(value))

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        return from_ipc(encoded)

    def estimate_size(self, value: pa.RecordBatch) -> int:
        return bytes_of(value)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return pa.RecordBatch  # type: ignore[no-any-return]


def _with_compact_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Dictionary columns reduced to the values that this slice uses, where the whole dictionary is large."""
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
        cross_duplicates = [
            [s.hash, s.content, s.counted_generation, s.earlier_generation] for s in value.cross_duplicates
        ]
        header = [value.tile, value.shard, tallies, cross_duplicates, value.timing, value.attempt, value.replaces]
        return pack(header, [to_ipc(value.block), to_ipc(value.ids), to_ipc(value.late)])

    def decode(self, encoded: bytes) -> FoldUpdate:
        (tile, shard, tallies, cross_duplicates, *rest), (block, ids, late) = unpack(encoded)
        return FoldUpdate(
            tile,
            shard,
            from_ipc(block),
            tuple(Tally(*tally) for tally in tallies),
            tuple(CrossBoundaryDuplicate(*duplicate) for duplicate in cross_duplicates),
            from_ipc(ids),
            from_ipc(late),
            *rest,
        )


class TilesUpdateCoder(PackedCoder):
    """Coder of TilesUpdate."""

    value_type = TilesUpdate

    def batches_of(self, value: TilesUpdate) -> Sequence[pa.RecordBatch]:
        return (value.block, value.ids)

    def encode(self, value: TilesUpdate) -> bytes:
        tallies = [[astuple(tally) for tally in some] for some in value.tallies]
        header = [value.places, tallies, value.rows, value.counted]
        return pack(header, [to_ipc(value.block), to_ipc(value.ids)])

    def decode(self, encoded: bytes) -> TilesUpdate:
        (places, tallies, rows, counted), (block, ids) = unpack(encoded)
        by_place = tuple(tuple(Tally(*tally) for tally in some) for some in tallies)
        return TilesUpdate(
            tuple(map(tuple, places)), by_place, from_ipc(block), tuple(rows), from_ipc(ids), tuple(counted)
        )


def register_coders() -> None:
    """Register the coders of all elements with Beam; importing this module does it."""
    coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
    for coder in (
        SourceBatchCoder,
        DecodedSegmentCoder,
        SegmentTallyCoder,
        DeadLetterBatchCoder,
        FoldUpdateCoder,
        TilesUpdateCoder,
    ):
        coders.registry.register_coder(coder.value_type, coder)


register_coders()
