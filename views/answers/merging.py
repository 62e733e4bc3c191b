"""Merging stored rows of states, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import RESERVED_PREFIX
from tandem.schemas.errors import StoreError
from tandem.schemas.measures.encoding.rows import decode_rows, encode_rows
from tandem.schemas.results import with_derived
from tandem.schemas.states import Measures
from tandem.views.rows import Compiled

__all__ = [
    "StoredRow",
    "decode_states",
    "encode_states",
    "encoded_states",
    "merge_results",
    "merged_states",
    "place_of",
    "results_of",
]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of the store: the states of one key and tile, encoded."""

    tile: int
    events: int
    states: bytes


def encoded_states(measures: Measures, block: pa.RecordBatch) -> pa.Array:
    """The states of each row of a block as the store keeps them, as a column (binary)."""
    return encode_rows([measure for _, measure in measures], [block.column(name) for name, _ in measures])


def encode_states(measures: Measures, block: pa.RecordBatch) -> list[bytes]:
    """As `encoded_states`, as a list."""
    encoded: list[bytes] = encoded_states(measures, block).to_pylist()
    return encoded


def decode_states(
    measures: Measures, rows: Sequence[bytes], place: str, wanted: Measures | None = None
) -> list[pa.Array]:
    """One array of states per measure, or per wanted measure. Raises StoreError naming `place` for damaged rows."""
    names = {name for name, _ in (measures if wanted is None else wanted)}
    places = [at for at, (name, _) in enumerate(measures) if name in names]
    if not rows:
        return [pa.array([], measures[at][1].state_type) for at in places]
    try:
        return decode_rows([measure for _, measure in measures], pa.array(rows, pa.binary()), places)
    except ValueError as error:
        detail = (str(error).splitlines() or ["unreadable"])[0]
        raise StoreError(f"states of {place} are damaged: {detail}") from error


def merge_results(
    compiled: Compiled, rows: Sequence[bytes], groups: npt.NDArray[np.int64], size: int, place: str
) -> list[dict[str, Any]]:
    """The results of `size` groups by name; row i belongs to `groups[i]`, a group may be empty."""
    columns = decode_states(compiled.measures, rows, place)
    if len(rows) == size and (groups == np.arange(size)).all():
        return results_of(compiled, columns)  # one state merged alone stays the same
    return results_of(compiled, merged_states(compiled.measures, columns, groups, size))


def merged_states(
    measures: Measures, columns: Sequence[pa.Array], groups: npt.NDArray[np.int64], size: int
) -> list[pa.Array]:
    """The measures' states of `size` groups, merged from the rows of `columns`; row i belongs to `groups[i]`."""
    return [measure.merge(states, groups, size) for (_, measure), states in zip(measures, columns, strict=True)]


def results_of(compiled: Compiled, states: Sequence[pa.Array]) -> list[dict[str, Any]]:
    """The results of each row of the measures' states by name, with derived results.

    Times that tiles keep for sessions are left out.
    """
    measures = compiled.measures
    public = [
        (name, measure.result(column))
        for (name, measure), column in zip(measures, states, strict=True)
        if not name.startswith(RESERVED_PREFIX)
    ]
    names = [name for name, _ in public]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*(values for _, values in public), strict=True)]
    return with_derived(measures, compiled.derive_results, rows)


def place_of(compiled: Compiled, key: str) -> str:
    """The definition and key that states belong to, for error messages."""
    return f"{compiled.definition.name}, key {key}"
