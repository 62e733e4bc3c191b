"""All values of millions of states as one number, so that engines can be compared without a join.

Sums of cents are compared as whole cents: the errors of adding doubles in another order are smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Values", "values_of"]

_MODULUS: Final = 1 << 64
_CENTS: Final = ("revenue", "least", "most")
_COUNTS: Final = ("orders", "items")


@dataclass(frozen=True, slots=True)
class Values:
    """The totals of an engine's states, equal for equal values in any order."""

    states: int
    events: int
    digest: int
    """The sum, modulo 2^64, of a hash of each state: its key, its tile and all its values."""


def values_of(paths: Sequence[Path], key: str, tile: str) -> Values:
    """The values of files of states, Arrow or Parquet; `tile`: the column of the tile's begin."""
    columns = [f"{key}_id", tile, *_COUNTS, *_CENTS]
    states = events = digest = 0
    for path in paths:
        for batch in _batches(path, columns):
            found = _plain(pl.from_arrow(batch), columns)
            states += found.height
            events += int(found["orders"].sum())
            digest += int(found.hash_rows().to_numpy().sum(dtype=np.uint64))
    return Values(states, events, digest % _MODULUS)


def _plain(frame: Any, columns: Sequence[str]) -> pl.DataFrame:
    """The same values with the same names and types, independent of the writer."""
    key, tile = columns[:2]
    plain: pl.DataFrame = frame.select(
        pl.col(key).cast(pl.Int64).alias("key"),
        pl.col(tile).cast(pl.Datetime("us", "UTC")).cast(pl.Int64).alias("tile"),
        *(pl.col(name).cast(pl.Int64) for name in _COUNTS),
        *((pl.col(name) * 100).round().cast(pl.Int64) for name in _CENTS),
    )
    return plain


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        yield from pq.ParquetFile(path).iter_batches(1 << 18, columns=list(columns))
        return
    with pa.memory_map(str(path)) as data:
        reader = pa.ipc.open_file(data)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number).select(columns)
