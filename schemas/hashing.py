"""Tandem's own hashes of columns: vectorized, and the same on every machine and in every version.

Event ids and contents are compared by hash between batch and live, years apart, so no library's unspecified hash will
do. The construction is MurmurHash3's (Austin Appleby, public domain): 8-byte words are multiplied and rotated into the
state, and `fmix64` finishes. It is not collision-resistant against adversaries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas import hashing_few
from tandem.schemas.hashing_few import FEW, LONG, digest_of_long, hash_few, mix_few

__all__ = ["hash64", "hash_rows"]

Hashes = npt.NDArray[np.uint64]

_C1: Final = np.uint64(hashing_few.C1)
_C2: Final = np.uint64(hashing_few.C2)
_M1: Final = np.uint64(hashing_few.M1)
_M2: Final = np.uint64(hashing_few.M2)
_GOLDEN: Final = np.uint64(hashing_few.GOLDEN)
_NULL: Final = np.uint64(0x6E756C6C6E756C6C)

_ALIKE: Final = 512
"""Average number of values a length from which on values of one length are hashed together."""

_SHORT: Final = 32
"""Bytes of the longest values that aren't worth sorting by length."""

_STRETCH: Final = 1 << 14
"""Values hashed at a time: few enough that intermediate arrays stay in the processor's cache."""


def hash64(column: pa.Array, seed: int = 0) -> Hashes:
    """A 64-bit hash of each value; equal values have equal hashes, whatever their column's width or encoding.

    Integers, booleans, dates and timestamps hash as int64, floats as float64 (-0.0 as 0.0, every NaN alike), decimals
    as their text, strings and binaries as their bytes. Nulls have a hash of their own. Raises TypeError for other
    types.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if (few := hash_few(column, seed)) is not None:
        return np.array(few, np.uint64)
    if len(column) > _STRETCH and not pa.types.is_dictionary(column.type):
        return np.concatenate([hash64(column.slice(at, _STRETCH), seed) for at in range(0, len(column), _STRETCH)])
    if pa.types.is_dictionary(column.type):
        per_value = hash64(column.dictionary, seed)
        codes = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        hashes = per_value[codes] if len(per_value) else np.zeros(len(column), np.uint64)
    else:
        hashes = _hash_values(column, np.uint64(seed))
    if column.null_count:
        hashes = np.where(column.is_null().to_numpy(zero_copy_only=False), _fmix(_NULL ^ np.uint64(seed)), hashes)
    return hashes


def hash_rows(columns: Sequence[pa.Array], seed: int = 0) -> Hashes:
    """A 64-bit hash of each row over several columns; the order of the columns matters."""
    if not columns:
        raise ValueError("hash_rows needs at least one column, got none")
    first, *others = (hash64(column, seed) for column in columns)
    if not others:
        return first
    if len(first) <= FEW:
        return np.array(mix_few([hashes.tolist() for hashes in (first, *others)]), np.uint64)
    rows = np.empty_like(first)
    with np.errstate(over="ignore"):
        for at in range(0, len(rows), _STRETCH):
            stretch = slice(at, at + _STRETCH)
            mixed = first[stretch]
            for other in others:
                mixed = _fmix(mixed * _C2 + _GOLDEN ^ other[stretch])
            rows[stretch] = mixed
    return rows


def _hash_values(column: pa.Array, seed: np.uint64) -> Hashes:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _hash_bytes(column, seed)
    if pa.types.is_decimal(kind):
        return _hash_bytes(pc.cast(column, pa.string()), seed)
    if any(
        is_kind(kind)
        for is_kind in (pa.types.is_large_string, pa.types.is_large_binary, pa.types.is_string_view,
                        pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    ):  # fmt: skip
        return _hash_bytes(pc.cast(column, pa.binary()), seed)
    if pa.types.is_floating(kind):
        values = pc.fill_null(pc.cast(column, pa.float64()), 0.0).to_numpy(zero_copy_only=False) + 0.0
        values = np.where(np.isnan(values), np.nan, values)
        return _fmix(values.view(np.uint64) * _C1 ^ _fmix(seed + _GOLDEN))
    return _fmix(_as_int64(column).view(np.uint64) * _C1 ^ _fmix(seed + _GOLDEN))


def _as_int64(column: pa.Array) -> npt.NDArray[np.int64]:
    kind = column.type
    if pa.types.is_uint64(kind):
        filled = pc.fill_null(column, pa.scalar(0, pa.uint64()))
        return np.asarray(filled.to_numpy(zero_copy_only=False)).view(np.int64)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = pc.cast(column, pa.int32())
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)):
        raise TypeError(f"values of type {kind} can't be hashed")
    filled = pc.fill_null(pc.cast(column, pa.int64()), pa.scalar(0, pa.int64()))
    return np.ascontiguousarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)


def _hash_bytes(column: pa.Array, seed: np.uint64) -> Hashes:
    count = len(column)
    if count == 0:
        return np.zeros(0, np.uint64)
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + count + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    if lengths.max() > LONG:
        return _hash_bytes(_digest_long(column, lengths), seed)
    state = np.full(count, _fmix(seed + _GOLDEN), np.uint64)
    first, last = int(starts[0]), int(offsets[-1])
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest:
        for word in _equal_words(data[first:last], count, longest):
            state = _mix(state, word)
        return _fmix(state ^ np.uint64(longest))
    counts = np.bincount(lengths)
    if longest > _SHORT and not column.null_count and np.count_nonzero(counts) * _ALIKE <= count:
        return _hash_by_length(column, counts, np.argsort(lengths.astype(np.uint16), kind="stable"), seed)
    words = _aligned_words(data[first:last])
    starts = starts - first
    for at in range(0, longest, 8):
        if at < shortest:
            state = _mix(state, _words_at(words, starts + at, lengths - at))
        else:
            rows = np.flatnonzero(lengths > at)
            state[rows] = _mix(state[rows], _words_at(words, starts[rows] + at, lengths[rows] - at))
    return _fmix(state ^ lengths.astype(np.uint64))


def _hash_by_length(
    column: pa.Array, counts: npt.NDArray[np.int64], order: npt.NDArray[np.int64], seed: np.uint64
) -> Hashes:
    """The hashes of values of few lengths, given the number of values of each length and their order by length: values
    of one length lie in whole words, while words of the others must be cut out of two.
    """
    ordered, hashes, start = column.take(pa.array(order)), np.empty(len(order), np.uint64), 0
    for size in counts[counts > 0].tolist():
        hashes[order[start : start + size]] = _hash_bytes(ordered.slice(start, size), seed)
        start += size
    return hashes


_MASKS: Final = np.array([(1 << (8 * n)) - 1 for n in range(9)], np.uint64)
"""Masks that keep the first n bytes of a little-endian word."""


def _aligned_words(data: npt.NDArray[np.uint8]) -> Hashes:
    """The bytes as little-endian words, followed by two words of zeros for the last value's reads."""
    words = np.zeros(len(data) // 8 + 3, "<u8")
    words.view(np.uint8)[: len(data)] = data
    return words


def _equal_words(data: npt.NDArray[np.uint8], count: int, length: int) -> Iterator[Hashes]:
    """The words of values of one length, one column at a time, padded with zeros."""
    if not length:
        return
    padded = data.reshape(count, length)
    if length % 8:
        padded = np.zeros((count, -(-length // 8) * 8), np.uint8)
        padded[:, :length] = data.reshape(count, length)
    yield from padded.view("<u8").T


def _words_at(words: Hashes, starts: npt.NDArray[np.int64], left: npt.NDArray[np.int64]) -> Hashes:
    """The eight bytes from each start on; those behind the value's end are zero."""
    index, shift = starts >> 3, ((starts & 7) << 3).astype(np.uint64)
    # Shifting by 64 is undefined: shift twice instead.
    word = (words[index] >> shift) | ((words[index + 1] << (np.uint64(63) - shift)) << np.uint64(1))
    masked: Hashes = word & _MASKS[np.minimum(left, 8)]
    return masked


def _digest_long(column: pa.Array, lengths: npt.NDArray[np.int64]) -> pa.Array:
    values: list[bytes] = pc.cast(column, pa.binary()).to_pylist()
    for row in np.flatnonzero(lengths > LONG):
        if values[row] is not None:
            values[row] = digest_of_long(values[row])
    return pa.array([v if v is not None else b"" for v in values], pa.binary())


def _mix(state: Hashes, word: Any) -> Hashes:
    # In place, since what takes time is memory; arrays wrap around without a warning.
    mixed: Hashes = word * _C1
    turned = mixed << np.uint64(31)
    mixed >>= np.uint64(33)
    mixed |= turned
    mixed *= _C2
    mixed ^= state
    np.left_shift(mixed, np.uint64(27), out=turned)
    mixed >>= np.uint64(37)
    mixed |= turned
    mixed *= np.uint64(5)
    mixed += np.uint64(0x52DCE729)
    return mixed


def _fmix(value: Any) -> Hashes:
    with np.errstate(over="ignore"):
        finished: Hashes = value ^ (value >> np.uint64(33))
        finished *= _M1
        finished ^= finished >> np.uint64(33)
        finished *= _M2
        finished ^= finished >> np.uint64(33)
        return finished
