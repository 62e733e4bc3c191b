"""Decodes Avro messages (binary, without a header) to columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import from_wire
from tandem.formats.avro.resolution import column_at, written_path
from tandem.formats.avro.together import together
from tandem.formats.avro.types import SourceFields, Type, read_type
from tandem.formats.avro.walk import MAX_CELLS, Fault, Walker, write_long
from tandem.formats.avro.wire import END, Checks, WireSchema, cells, checks_of, decode_wire, is_damage
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, Verdicts
from tandem.formats.values.typed import without_markers

__all__ = ["AvroDecoder", "avro_decoder", "parse_avro"]

_AT_ONCE: Final = 1 << 16
"""Messages in one call of the decoder."""
_BYTES_AT_ONCE: Final = 1 << 26
"""Bytes in one call of the decoder: its columns have 32-bit offsets."""
_MAX_UNFOLDED: Final = 1 << 28
"""Most values to which blocks that are decoded at once may unfold."""
_BY_HAND: Final = 16
"""A failing batch is split into this many parts, recursively, until a part has at most this many messages to walk."""

Sizes = npt.NDArray[np.int64]


class AvroDecoder:
    """A decoder for messages of one record type; compiled once, then shared."""

    def __init__(self, record: Type) -> None:
        self._record = record
        self._wire = WireSchema.of(record)
        self._walker = Walker(record)
        found = [(at, checks_of(part)) for at, part in enumerate(record.parts)]
        self._checks: list[tuple[int, Checks]] = [(at, checks) for at, checks in found if checks is not None]

    def decode(self, messages: list[bytes]) -> tuple[list[pa.RecordBatch], dict[int, str]]:
        """Batches of the wire schema with the good messages in order, and the errors of the others."""
        batches: list[pa.RecordBatch] = []
        faults: dict[int, str] = {}
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        messages, walked = self._walk_first(messages, sizes, faults)
        for start, end in _runs(sizes, self._wire.unfolding):
            good: Sequence[int] = range(start, end)
            if faults:
                good = [row for row in range(start, end) if row not in faults]
            batch = self._try([messages[row] for row in good])
            if batch is None:
                self._find(messages, good, faults, walked)
                batch = self._try([messages[row] for row in good if row not in faults])
                assert batch is not None  # every message left was decoded by itself or walked through
            batches.append(batch)
        return batches, faults

    def decode_column(self, payloads: pa.BinaryArray) -> tuple[list[pa.RecordBatch], dict[int, str]]:
        """As `decode`, for a column without nulls: all messages at once, and one by one only where one of them is
        bad.
        """
        batch = self._try_together(payloads)
        return ([batch], {}) if batch is not None else self.decode(payloads.to_pylist())

    def _try_together(self, payloads: pa.BinaryArray) -> pa.RecordBatch | None:
        size, longest = payloads.nbytes, pc.max(pc.binary_length(payloads)).as_py() or 0
        unfolded = size * (self._wire.unfolding + 1)
        limits = (longest <= MAX_CELLS // (self._wire.unfolding + 1), unfolded <= _MAX_UNFOLDED, size <= _BYTES_AT_ONCE)
        if self._wire.has_fixed or not len(payloads) or not all(limits):
            return None
        return self._if_good(lambda: together(payloads, self._wire.messages))

    def decode_blocks(self, blocks: list[tuple[int, bytes]]) -> list[pa.RecordBatch]:
        """Batches of the wire schema with the records of blocks, each a count and data, in order.

        Raises Fault if any record can't be decoded.
        """
        if any(part.kind in ("array", "map") for part in self._record.walk()):
            unfolded = sum(len(data) for _, data in blocks) * (self._wire.unfolding + 1)
        else:
            unfolded = sum(count for count, _ in blocks) * cells(self._record)
        if self._wire.has_fixed or unfolded > _MAX_UNFOLDED:
            records = [record for count, data in blocks for record in self.records(count, data)]
            batches, faults = self.decode(records)
            if faults:
                raise Fault(next(iter(faults.values())))
            return batches
        # An array is written like a block: a count, the items, and a zero at its end.
        messages = [write_long(count) + data + b"\0" + END for count, data in blocks if count]
        if not messages:
            return []
        try:
            rows = decode_wire(messages, self._wire.block).column(0).values
            return [self._checked(pa.RecordBatch.from_struct_array(rows))]
        except BaseException as error:
            if is_damage(error):
                raise Fault(str(error)) from None
            raise

    def records(self, count: int, data: bytes) -> Iterator[bytes]:
        """The records of a block, one by one. Raises Fault."""
        at = 0
        for _ in range(count):
            end = self._walker.record_end(data, at)
            yield data[at:end]
            at = end
        if at != len(data):
            raise Fault(f"{len(data) - at} bytes left over behind the last record")

    def _walk_first(self, messages: list[bytes], sizes: Sizes, faults: dict[int, str]) -> tuple[list[bytes], bool]:
        """Walk the messages that the fast decoder can't be given: all with fixed types, and those that unfold
        greatly.
        """
        if self._wire.has_fixed:
            rewritten = []
            for row, message in enumerate(messages):
                try:
                    rewritten.append(self._walker.with_lengths(message))
                except Fault as fault:
                    faults[row] = str(fault)
                    rewritten.append(b"")
            return rewritten, True
        for row in np.flatnonzero(sizes > MAX_CELLS // (self._wire.unfolding + 1)).tolist():
            if (found := self._walker.fault(messages[row])) is not None:
                faults[row] = found
        return messages, False

    def _try(self, messages: list[bytes]) -> pa.RecordBatch | None:
        """All messages decoded and checked; None if one of them is bad."""
        return self._if_good(lambda: decode_wire([message + END for message in messages], self._wire.message))

    def _if_good(self, decode: Callable[[], pa.RecordBatch]) -> pa.RecordBatch | None:
        """The checked result of `decode`; None if it finds damage."""
        try:
            return self._checked(decode())
        except BaseException as error:
            if is_damage(error):
                return None
            raise

    def _checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for at, checks in self._checks:
            checks.run(batch.column(at))
        return batch

    def _find(self, messages: list[bytes], rows: Sequence[int], faults: dict[int, str], walked: bool) -> None:
        """Find the bad messages among `rows`: failing ranges are split until they are small enough to walk."""
        if self._try([messages[row] for row in rows]) is not None:
            return
        if len(rows) > _BY_HAND:
            part = -(-len(rows) // _BY_HAND)
            for start in range(0, len(rows), part):
                self._find(messages, rows[start : start + part], faults, walked)
            return
        for row in rows:
            found = None if walked else self._walker.fault(messages[row])
            if found is not None:
                faults[row] = found


def _runs(sizes: Sizes, unfolding: int) -> Iterator[tuple[int, int]]:
    """Ranges of messages for one call each: as many as its memory allows, and at least one."""
    budget = _BYTES_AT_ONCE // max(1, unfolding // 4)
    ends = np.cumsum(sizes)
    start, done = 0, 0
    while start < len(sizes):
        end = min(start + _AT_ONCE, max(start + 1, int(np.searchsorted(ends, done + budget, side="right"))))
        yield start, end
        start, done = end, int(ends[end - 1])


@lru_cache(maxsize=64)
def avro_decoder(schema_key: str) -> AvroDecoder:
    """The decoder for a schema's text."""
    return AvroDecoder(read_type(json.loads(schema_key)))


def parse_avro(fields: SourceFields, columns: tuple[str, ...], payloads: pa.BinaryArray) -> Parsed:
    """The needed fields of the messages that are records of the schema; other messages are faults."""
    batches, faults = avro_decoder(fields.layout_key).decode_column(payloads)
    rows = np.delete(np.arange(len(payloads)), list(faults)) if faults else np.arange(len(payloads))
    verdicts = Verdicts(len(rows))
    arrays = {}
    for field in fields.needed(columns):
        place = written_path(fields.record, field) or ()
        column = column_at(batches, place) if batches else pa.array([], pa.null())
        column = without_markers(column, field)
        arrays[field.name] = from_wire(column, field.type, field, verdicts) if batches else column.cast(field.arrow)
    reasons = {row: (DECODE, f"not a record of this Avro schema: {fault}") for row, fault in faults.items()}
    return Parsed(arrays, rows, verdicts, reasons)
