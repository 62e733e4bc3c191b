"""Reads a layer's file one batch at a time, and rejects every batch or row that isn't as it was written.

Each batch is checked against the database's record of it, each used row against its own checksum.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import EVENTS, KEY
from tandem.schemas.errors import DamagedStoreError
from tandem.storage.objects import ObjectMissingError
from tandem.storage.places import Place, open_place
from tandem.views.layers.columns import CHECK, RUN, STATES, TILE_START
from tandem.views.layers.decoded import DECODED
from tandem.views.layers.writing import BatchEntry, digest_of
from tandem.views.reconcile.digests import Words, checks_of_words, row_words

__all__ = [
    "LayerFile",
    "LayerMissingError",
    "LayerRows",
    "is_intact",
    "keys_after",
    "once_more",
    "read_batches",
    "rows_of_key",
    "rows_of_keys",
    "rows_of_span",
]

REMEDY: Final = "`tandem reconcile --deep` makes it anew from the journal and files"


class LayerMissingError(DamagedStoreError):
    """A file that the database names is missing: perhaps it was replaced since the database was read."""


@dataclass(frozen=True)
class LayerFile:
    """A file of states, as the database has it."""

    definition: int
    ordinal: int
    """The batch run that wrote it, or the newest one whose rows it holds."""
    part: str
    place: str
    path: str
    size: int
    rows: int
    first_tile: int
    last_tile: int
    first_bucket: int
    last_bucket: int
    schema: bytes
    batches: tuple[BatchEntry, ...]

    @property
    def name(self) -> str:
        """Its place, for messages."""
        return f"{self.place}/{self.path}"

    def refused(self, reason: str) -> DamagedStoreError:
        """The error of a file that isn't as it was written."""
        return DamagedStoreError(f"layer file {self.name} is damaged: {reason}; {REMEDY}")


@dataclass(frozen=True)
class LayerRows:
    """Some rows of a file, in the order of key, then tile."""

    ordinals: npt.NDArray[np.int64]
    """Of the batch runs that wrote the rows."""
    keys: pa.Array
    tiles: npt.NDArray[np.int64]
    events: npt.NDArray[np.int64]
    states: pa.Array

    @cached_property
    def words(self) -> Words:
        """`row_words` of the rows."""
        return row_words(self.keys, pa.array(self.events), self.states)

    def chosen(self, which: npt.NDArray[np.bool_]) -> LayerRows:
        """The rows that a mask selects."""
        mask = pa.array(which)
        columns = self.keys.filter(mask), self.tiles[which], self.events[which], self.states.filter(mask)
        return LayerRows(self.ordinals[which], *columns)

    def tuples(self, definition: int) -> Iterator[tuple[int, str, int, int, int, bytes, int]]:
        """As whole rows of batch_states, whose checksums were verified."""
        keys, states = self.keys.to_pylist(), self.states.to_pylist()
        columns = (keys, self.tiles.tolist(), self.ordinals.tolist(), self.events.tolist(), states)
        for row in zip(*columns, strict=True):
            yield definition, *row, 0


P = ParamSpec("P")
R = TypeVar("R")


def once_more(ask: Callable[P, R]) -> Callable[P, R]:
    """Repeat a call once, from the database on, if a file is missing: it may have been replaced since the database was
    read.
    """

    @wraps(ask)
    def asked(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return ask(*arguments, **named)
        except LayerMissingError:
            return ask(*arguments, **named)

    return asked


def read_batches(file: LayerFile, entries: Iterable[BatchEntry]) -> Iterator[pa.RecordBatch]:
    """Whole batches, as they were written. Raises DamagedStoreError, LayerMissingError."""
    place = open_place(file.place)
    for entry in entries:
        yield _read(file, place, entry)


def _kept_batches(file: LayerFile, entries: Iterable[BatchEntry]) -> Iterator[pa.RecordBatch]:
    """As `read_batches`, from memory where a batch was read before, and the file is the one that it was read from."""
    place = open_place(file.place)
    for entry in entries:
        try:
            identity = place.identity(file.path)
        except ObjectMissingError:
            raise _missing(file) from None
        known = (file.place, file.path, entry.offset, entry.crc, identity)
        yield DECODED.get(known, partial(_read, file, place, entry))


def _read(file: LayerFile, place: Place, entry: BatchEntry) -> pa.RecordBatch:
    try:
        data = place.get(file.path, entry.offset, entry.size)
    except ObjectMissingError:
        raise _missing(file) from None
    if len(data) != entry.size:
        raise file.refused(f"it ends {entry.size - len(data)} bytes too early")
    if zlib.crc32(data) != entry.crc:
        raise file.refused(f"the checksum of the batch at byte {entry.offset} differs")
    return _decoded(file, data)


def _missing(file: LayerFile) -> LayerMissingError:
    return LayerMissingError(f"layer file {file.name} is missing; {REMEDY}")


def is_intact(file: LayerFile) -> bool:
    """Whether a file is there and has the digest that its name ends with."""
    try:
        data = open_place(file.place).get(file.path)
    except ObjectMissingError:
        return False
    return len(data) == file.size and file.path.endswith(f"-{digest_of(data)}.arrow")


def _decoded(file: LayerFile, data: bytes) -> pa.RecordBatch:
    try:
        return pa.ipc.read_record_batch(pa.py_buffer(data), pa.ipc.read_schema(pa.py_buffer(file.schema)))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise file.refused((str(error).splitlines() or ["unreadable"])[0]) from error


def _rows(file: LayerFile, batch: pa.RecordBatch, chosen: npt.NDArray[np.int64] | None = None) -> LayerRows:
    """Rows of a batch, all or the chosen ones, checked."""
    runs = [RUN] if RUN in batch.schema.names else []
    part = batch.select([KEY, TILE_START, EVENTS, STATES, CHECK, *runs])
    if chosen is not None and len(chosen) < part.num_rows:
        first, last = (int(chosen[0]), int(chosen[-1])) if len(chosen) else (0, -1)
        part = part.slice(first, len(chosen)) if last - first + 1 == len(chosen) else part.take(pa.array(chosen))
    tiles = np.asarray(part.column(TILE_START).cast(pa.int64()).to_numpy(zero_copy_only=False))
    events = np.asarray(part.column(EVENTS).to_numpy(zero_copy_only=False))
    ordinals = part.column(RUN).to_numpy(zero_copy_only=False) if runs else np.full(part.num_rows, file.ordinal)
    rows = LayerRows(np.asarray(ordinals, np.int64), part.column(KEY), tiles, events, part.column(STATES))
    wrong = checks_of_words(rows.words, tiles) != part.column(CHECK).to_numpy(zero_copy_only=False)
    if wrong.any():
        raise file.refused(f"the checksum of key {rows.keys[int(np.flatnonzero(wrong)[0])].as_py()} differs")
    return rows


def rows_of_key(file: LayerFile, key: str, start: int, end: int) -> Iterator[LayerRows]:
    """The rows of one key in the tiles of [start, end)."""
    entries = [
        e for e in file.batches if e.first_key <= key <= e.last_key and e.first_tile < end and e.last_tile >= start
    ]
    for batch in _kept_batches(file, entries):
        mine = pc.equal(batch.column(KEY), key).to_numpy(zero_copy_only=False)
        yield _rows(file, batch, np.flatnonzero(mine & _within(batch, start, end)))


def rows_of_keys(file: LayerFile, keys: Sequence[str], start: int, end: int) -> Iterator[LayerRows]:
    """The rows of some keys, which come sorted, in the tiles of [start, end)."""
    wanted = pa.array(keys, pa.string())
    entries = [
        e
        for e in file.batches
        if e.first_tile < end
        and e.last_tile >= start
        and bisect_left(keys, e.first_key) < bisect_right(keys, e.last_key)
    ]
    for batch in _kept_batches(file, entries):
        mine = pc.is_in(batch.column(KEY), value_set=wanted).to_numpy(zero_copy_only=False)
        yield _rows(file, batch, np.flatnonzero(mine & _within(batch, start, end)))


def rows_of_span(file: LayerFile, start: int | None = None, end: int | None = None) -> Iterator[LayerRows]:
    """The rows of all keys in the tiles of [start, end), or all rows; the batches' own order."""
    low, high = file.first_tile if start is None else start, file.last_tile + 1 if end is None else end
    entries = [e for e in file.batches if e.first_tile < high and e.last_tile >= low]
    for batch in read_batches(file, entries):
        whole = low <= file.first_tile and file.last_tile < high
        yield _rows(file, batch, None if whole else np.flatnonzero(_within(batch, low, high)))


def _within(batch: pa.RecordBatch, start: int, end: int) -> Any:
    tiles = batch.column(TILE_START).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return (tiles >= start) & (tiles < end)


def keys_after(file: LayerFile, after: str) -> Iterator[str]:
    """Each key after `after`, once, in order."""
    last = after
    for batch in read_batches(file, [e for e in file.batches if e.last_key > after]):
        for key in pc.unique(batch.column(KEY)).to_pylist():
            if key > last:
                last = key
                yield key
