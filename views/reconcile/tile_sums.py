"""Sums rows of states by tile, in columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.digests import Words, digests_of_groups, hashes_of_words, row_words

__all__ = ["sums_by_tile", "sums_of_rows"]

_AT_ONCE: Final = 1 << 15


class _Row(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def tile(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def states(self) -> bytes: ...


def sums_of_rows(rows: Iterable[_Row]) -> dict[int, RowSum]:
    """By tile the sum of a stream of rows, in any order."""
    sums: dict[int, RowSum] = {}
    rows = iter(rows)
    while some := list(islice(rows, _AT_ONCE)):
        for tile, total in sums_by_tile(*_columns(some)):
            sums[tile] = sums.get(tile, RowSum()).add(total)
    return sums


def _columns(rows: Sequence[_Row]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Words]:
    keys, states = (pa.array([getattr(row, name) for row in rows], kind) for name, kind in _TEXTS)
    tiles, events = (np.array([getattr(row, name) for row in rows], np.int64) for name in ("tile", "events"))
    return tiles, events, row_words(keys, pa.array(events), states)


_TEXTS: Final = (("key", pa.string()), ("states", pa.binary()))


def sums_by_tile(
    tiles: npt.NDArray[np.int64], events: npt.NDArray[np.int64], words: Words
) -> Iterator[tuple[int, RowSum]]:
    """(tile, the sum of its rows), ascending; `words` are the rows' `row_words`."""
    if not len(tiles):
        return
    order = np.argsort(tiles, kind="stable")
    tiles, events, hashes = tiles[order], events[order], hashes_of_words(words[order])
    first = np.concatenate([[True], tiles[1:] != tiles[:-1]])
    starts = np.flatnonzero(first)
    rows = np.diff(starts, append=len(tiles)).tolist()
    digests = digests_of_groups(hashes, np.cumsum(first) - 1, len(starts))
    counts = np.add.reduceat(events, starts).tolist()
    for tile, number, count, digest in zip(tiles[starts].tolist(), rows, counts, digests, strict=True):
        yield tile, RowSum(number, count, digest)
