"""Events of files or a journal as states by time and key: read once, copies counted once, without a runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.messages import decode_messages
from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.opening import open_blobs
from tandem.schemas.columns import GENERATION, ID, KEY, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, Prepared
from tandem.schemas.hashing import hash64, hash_rows
from tandem.schemas.messages import Decoded
from tandem.schemas.states import Measures, aggregate, empty_block, merge_blocks

__all__ = [
    "Amount",
    "Blocks",
    "Fresh",
    "History",
    "added",
    "files_decoded",
    "history_of",
    "journal_decoded",
    "segments_decoded",
]

_PIECE_BYTES = 64 << 20
_MERGE_AT = 32
"""Blocks of one level that are kept apart before they are merged."""
_ROWS: Final = 1 << 19
"""About how many states a block of a history has."""
_PARTS: Final = 64
"""Most blocks of a history."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much there was; received = counted + filtered + copies + dead, always."""

    received: int = 0
    counted: int = 0
    filtered: int = 0
    copies: int = 0
    dead: int = 0
    """Records that can't be decoded, and events that expressions can't be computed for."""
    first: int | None = None
    """Event time of the first event, microseconds UTC."""
    last: int | None = None


@dataclass(frozen=True)
class History:
    """States of each unit of time and key."""

    blocks: tuple[pa.RecordBatch, ...]
    """Of `schemas.states`, with the start of the unit as generation; each of other keys."""
    unit: int
    amount: Amount


def files_decoded(compiled: CompiledDefinition, places: Sequence[str], now: int) -> Iterator[Decoded]:
    """What files hold, piece by piece; `now` stands in for publish times. Raises SourceFileError, SchemaError."""
    source = compiled.definition.source
    for ref in expand(places):
        for piece in split(ref, _PIECE_BYTES, source):
            yield from read_piece(source, compiled.source_columns, piece, now)


def journal_decoded(compiled: CompiledDefinition, journal: str, upto: int | None = None) -> Iterator[Decoded]:
    """What a journal holds, up to a generation or all of it. Raises JournalError, SegmentError."""
    yield from segments_decoded(compiled, open_blobs(journal), upto)


def segments_decoded(compiled: CompiledDefinition, blobs: BlobStore, upto: int | None = None) -> Iterator[Decoded]:
    """The same of a journal that is open."""
    index = JournalIndex(blobs)
    index.refresh()
    for ref in index.segments(0, upto):
        yield decode_messages(compiled.definition.source, compiled.source_columns, read_segment(blobs, ref).messages)


def history_of(compiled: CompiledDefinition, batches: Iterable[Decoded], unit: int) -> History:
    """The states of all events, by the units of time (microseconds, from 1970-01-01 UTC) that they lie in."""
    amount, blocks, seen = Amount(), Blocks(compiled.measures), Fresh()
    for decoded in batches:
        prepared = compiled.prepare(decoded.events)
        events, fresh = prepared.events, seen.of(compiled, decoded, prepared)
        dead = len(decoded.dead) + len(prepared.failed)
        amount = added(amount, decoded.received, prepared.filtered, dead, events.column(TIME).to_numpy(), fresh)
        if fresh.any():
            blocks.add(_block(compiled, events.filter(pa.array(fresh)), unit))
    return History(blocks.whole(), unit, amount)


class Blocks:
    """Blocks of states that come one after the other; each row is merged a few times, however many there are."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._levels: list[list[pa.RecordBatch]] = [[]]

    def add(self, block: pa.RecordBatch) -> None:
        """Add one; thirty-two of a level become one of the next."""
        self._levels[0].append(block)
        for level, held in enumerate(self._levels):
            if len(held) < _MERGE_AT:
                return
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(merge_blocks(self._measures, held))
            held.clear()

    def whole(self) -> tuple[pa.RecordBatch, ...]:
        """All of them, in blocks of different keys, which are all that is held from now on.

        What is merged at once is one of many parts: merging takes several times what is merged.
        """
        held = [block for level in self._levels for block in level]
        self._levels, rows = [[]], sum(block.num_rows for block in held)
        if rows <= _ROWS:
            return (merge_blocks(self._measures, held) if held else empty_block(self._measures),)
        parts = [list[pa.RecordBatch]() for _ in range(min(-(-rows // _ROWS), _PARTS))]
        while held:
            for part, block in zip(parts, _by_key(held.pop(0), len(parts)), strict=True):
                part.append(block)
        blocks = list[pa.RecordBatch]()
        for part in parts:
            blocks.append(merge_blocks(self._measures, part))
            part.clear()
        return tuple(block for block in blocks if block.num_rows)


def _by_key(block: pa.RecordBatch, parts: int) -> Iterator[pa.RecordBatch]:
    """The rows of a block in so many parts, by a hash of their keys."""
    keys = block.column(KEY).dictionary_encode()
    places = (hash64(keys.dictionary) % np.uint64(parts))[keys.indices.to_numpy()]
    for part in range(parts):
        yield block.take(pa.array(np.flatnonzero(places == part)))


def _block(compiled: CompiledDefinition, events: pa.RecordBatch, unit: int) -> pa.RecordBatch:
    starts = events.column(TIME).to_numpy() // unit * unit
    columns = [name for name in compiled.aggregated_columns if name != KEY]
    narrow = events.select([KEY, *columns]).append_column(GENERATION, pa.array(starts))
    return aggregate(compiled.measures, narrow)


def added(
    amount: Amount,
    received: int,
    filtered: int,
    dead: int,
    times: npt.NDArray[np.int64],
    fresh: npt.NDArray[np.bool_],
) -> Amount:
    """The amount with some more records, of whose events those that aren't fresh are copies."""
    counted = int(np.count_nonzero(fresh))
    ends = [int(times.min()), int(times.max())] if len(times) else []
    return replace(
        amount,
        received=amount.received + received,
        counted=amount.counted + counted,
        filtered=amount.filtered + filtered,
        copies=amount.copies + len(fresh) - counted,
        dead=amount.dead + dead,
        first=min([*ends[:1], *([amount.first] if amount.first is not None else [])], default=None),
        last=max([*ends[1:], *([amount.last] if amount.last is not None else [])], default=None),
    )


@dataclass
class Fresh:
    """Which events are the first of their copies: hashes in sorted arrays, each more than twice as long as the next."""

    parts: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    def of(self, compiled: CompiledDefinition, decoded: Decoded, prepared: Prepared) -> npt.NDArray[np.bool_]:
        """Which of the prepared events weren't there before; from now on they are."""
        events = prepared.events
        if not (compiled.definition.deduplicate and events.num_rows):
            return np.ones(events.num_rows, bool)
        sources = decoded.events.take(pa.array(prepared.rows))
        content = hash_rows([sources.column(name) for name in compiled.source_columns])
        return self.fresh(hash_rows([pa.array(hash64(events.column(ID))), pa.array(content)]))

    def fresh(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of them weren't there before, of equal ones the first; from now on they are."""
        distinct, first = np.unique(hashes, return_index=True)
        new = np.zeros(len(hashes), bool)
        new[first] = True
        for part in self.parts:
            places = np.minimum(np.searchsorted(part, hashes), len(part) - 1)
            new &= part[places] != hashes
        self._add(distinct)
        return new

    def _add(self, hashes: npt.NDArray[np.uint64]) -> None:
        self.parts.append(hashes)
        while len(self.parts) > 1 and len(self.parts[-2]) <= 2 * len(self.parts[-1]):
            last, before = self.parts.pop(), self.parts.pop()
            self.parts.append(np.union1d(before, last))
