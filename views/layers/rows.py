"""Merges rows of batch from the database and from files into one stream, in the order of key, then tile, then run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from tandem.views.layers.reading import LayerFile, keys_after, rows_of_key, rows_of_span

__all__ = ["all_with_files", "key_rows", "keys_with_files"]

_PLACE = itemgetter(1, 2, 3)


def key_rows(stored: Sequence[Any], files: Sequence[LayerFile], key: str, start: int, end: int) -> Sequence[Any]:
    """Whole rows of one key in the tiles of [start, end), from the database, whose rows are sorted, and from files."""
    found = [
        row for file in files for rows in rows_of_key(file, key, start, end) for row in rows.tuples(file.definition)
    ]
    return sorted([*stored, *found], key=_PLACE) if found else stored


def all_with_files(
    stored: Iterable[Any], files: Sequence[LayerFile], start: int | None = None, end: int | None = None
) -> Iterable[Any]:
    """Whole rows of all keys, as a stream: from the database, whose rows are sorted, and from files."""
    return heapq.merge(stored, *(_rows(file, start, end) for file in files), key=_PLACE) if files else stored


def _rows(file: LayerFile, start: int | None, end: int | None) -> Iterator[Any]:
    for rows in rows_of_span(file, start, end):
        yield from rows.tuples(file.definition)


def keys_with_files(stored: Iterable[str], files: Sequence[LayerFile], after: str) -> Iterable[str]:
    """Keys after `after`, in order; a key that lies in several places repeats."""
    return heapq.merge(stored, *(keys_after(file, after) for file in files)) if files else stored
