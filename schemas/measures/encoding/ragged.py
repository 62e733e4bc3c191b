"""Lists of varying length as flat arrays: splits states with several values a group, and builds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.values import Int64s

__all__ = ["Pairs", "flatten", "list_array", "list_offsets", "offsets_of", "pairs", "ranges", "struct_array"]

_INT32_MAX = 2**31 - 1


def list_offsets(lists: pa.Array) -> Int64s:
    """The offset of each list of a list, string or binary array in its flat values, and one more for the end."""
    if len(lists) == 0:
        return np.zeros(1, np.int64)
    raw = np.frombuffer(lists.buffers()[1], np.int32)
    return raw[lists.offset : lists.offset + len(lists) + 1].astype(np.int64)


def flatten(lists: pa.Array) -> tuple[Int64s, pa.Array]:
    """The lengths of the lists, and their concatenated values. No list is null."""
    offsets = list_offsets(lists)
    return np.diff(offsets), lists.values.slice(offsets[0], offsets[-1] - offsets[0])


def offsets_of(lengths: npt.NDArray[np.integer]) -> Int64s:
    """Offsets of lists of these lengths: running totals, starting with 0."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def list_array(lengths: npt.NDArray[np.integer], values: pa.Array) -> pa.Array:
    """An Arrow list array with these lengths over the flat values. Raises ValueError above 2^31 - 1 values."""
    offsets = offsets_of(lengths)
    if offsets[-1] > _INT32_MAX:
        raise ValueError(f"a block of states holds {offsets[-1]} values; Arrow lists allow {_INT32_MAX}")
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def struct_array(kind: pa.DataType, *fields: pa.Array) -> pa.Array:
    """A struct array of type `kind` without null rows."""
    return pa.StructArray.from_arrays(list(fields), fields=list(kind))


def ranges(starts: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> Int64s:
    """start, start + 1, ... start + length - 1 of each row, concatenated."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)


@dataclass(frozen=True)
class Pairs:
    """The distinct pairs of (group, code), sorted by group, then by code."""

    groups: Groups
    codes: Int64s
    index: Int64s
    """For each input row the index of its pair; empty unless asked for."""
    counts: Int64s
    """The number of rows of each pair."""

    def lengths(self, size: int) -> Int64s:
        """The number of pairs of each of `size` groups."""
        return np.bincount(self.groups, minlength=size).astype(np.int64)


def pairs(groups: Groups, codes: Int64s, *, index: bool = False) -> Pairs:
    """The distinct pairs of (group, code); `index` asks for each row's pair, which costs an indirect sort."""
    none = np.zeros(0, np.int64)
    if len(codes) == 0:
        return Pairs(none, none, none, none)
    low, span = int(codes.min()), int(codes.max()) - int(codes.min()) + 1
    if span * (int(groups.max()) + 1) < 2**63:
        packed, inverse, counts = _unique(groups * span + (codes - low), index)
        return Pairs(packed // span, packed % span + low, inverse, counts)
    return _pairs_apart(groups, codes, low, index)


def _pairs_apart(groups: Groups, codes: Int64s, low: int, index: bool) -> Pairs:
    """Pairs whose codes are too far apart to share a word with the group: their upper bits do, and decide nearly
    all.
    """
    bits = np.uint64(max(int(groups.max()).bit_length(), 1))
    above = codes.view(np.uint64) - np.uint64(low % 2**64)
    packed = (groups.view(np.uint64) << (np.uint64(64) - bits)) | (above >> bits)
    order = np.argsort(packed)
    packed, codes_in_order = packed[order], codes[order]
    step = packed[1:] != packed[:-1]
    if (codes_in_order[1:] != codes_in_order[:-1])[~step].any():
        # Codes of a group that differ in lower bits only: their ranks are narrow enough to share a word.
        levels, ranks = np.unique(codes, return_inverse=True)
        keys, inverse, counts = _unique(groups * len(levels) + ranks, index)
        return Pairs(keys // len(levels), levels[keys % len(levels)], inverse, counts)
    first = np.flatnonzero(np.concatenate([[True], step]))
    counts = np.diff(first, append=len(order))
    inverse = np.zeros(0, np.int64)
    if index:
        inverse = np.empty(len(order), np.int64)
        inverse[order] = np.repeat(np.arange(len(first)), counts)
    return Pairs(groups[order[first]], codes_in_order[first], inverse, counts)


def _unique(packed: Int64s, index: bool) -> tuple[Int64s, Int64s, Int64s]:
    if index:
        keys, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
        return keys, inverse.astype(np.int64), counts.astype(np.int64)
    keys, counts = np.unique(packed, return_counts=True)
    return keys, np.zeros(0, np.int64), counts.astype(np.int64)
