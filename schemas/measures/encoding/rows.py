"""Serializes all measures' states of a row as one binary value, which a view store keeps in one column.

Layout, little-endian: version (1 byte), then for each measure, in order, the length of its bytes (4 bytes) and its
bytes (`Measure.encode`). Equal states have equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import list_offsets, offsets_of
from tandem.schemas.measures.encoding.states import binary_array, binary_parts, gather, state_parts

__all__ = ["ROW_VERSION", "decode_rows", "encode_rows"]

ROW_VERSION: Final = 1
"""First byte of each row."""


def encode_rows(measures: Sequence[Measure], states: Sequence[pa.Array]) -> pa.Array:
    """One binary value (pa.binary()) a row. Raises ValueError unless all measures have equally many states."""
    if len(measures) != len(states) or not measures:
        raise ValueError(
            f"{len(measures)} measures need as many columns of states, and at least one; got {len(states)}"
        )
    rows = len(states[0])
    if any(len(column) != rows for column in states):
        raise ValueError(f"columns of states differ in length: {[len(column) for column in states]}")
    held, parts = [_bytes_of(np.full(rows, ROW_VERSION, "<u1"))], list[pa.Array]()
    for measure, column in zip(measures, states, strict=True):
        header, own = _parts(measure, column)
        lengths = np.full(rows, header.itemsize if header is not None else 0)
        for part in own:
            lengths += np.diff(list_offsets(part))
        held.append(_bytes_of(lengths.astype("<u4")))
        if header is not None:
            held.append(_bytes_of(header))
        if own:
            parts += [_side_by_side(held), *own]
            held = []
    parts += [_side_by_side(held)] if held else []
    return pc.binary_join_element_wise(*parts, b"") if len(parts) > 1 else parts[0]


def _parts(measure: Measure, column: pa.Array) -> tuple[np.ndarray[Any, Any] | None, list[pa.Array]]:
    """(bytes of one width in all rows, binary columns that follow them) of a measure's states."""
    if isinstance(measure, ColumnarMeasure) and type(measure).encode is ColumnarMeasure.encode:
        return state_parts(column, measure.version)
    return None, [measure.encode(column)]


def _bytes_of(values: np.ndarray[Any, Any]) -> npt.NDArray[np.uint8]:
    """The bytes of numbers or records, one row each."""
    return values.view(np.uint8).reshape(len(values), values.itemsize)


def _side_by_side(columns: Sequence[npt.NDArray[np.uint8]]) -> pa.Array:
    """Columns of bytes joined row by row: joining binary arrays costs the same for each of them, however short."""
    joined = np.concatenate(columns, axis=1)
    return binary_array(np.arange(len(joined) + 1) * joined.shape[1], pa.py_buffer(joined))


def decode_rows(measures: Sequence[Measure], rows: pa.Array, wanted: Collection[int] | None = None) -> list[pa.Array]:
    """The states of each measure, or of those at the places `wanted`. Raises ValueError for another version, or bytes
    that these measures didn't write.
    """
    offsets, raw = binary_parts(rows)
    at, ends = offsets[:-1], offsets[1:]
    if (at == ends).any():
        raise ValueError("a row of states is empty")
    wrong = raw[at] != ROW_VERSION
    if wrong.any():
        raise ValueError(f"a row of states has version {raw[at][wrong][0]}; this program reads version {ROW_VERSION}")
    at = at + 1
    columns = []
    for place, measure in enumerate(measures):
        if (at + 4 > ends).any():
            raise ValueError(f"a row of states ends before measure {measure.kind}")
        lengths = gather(raw, at, np.full(len(at), 4)).view("<u4").astype(np.int64)
        at = at + 4
        if (lengths > ends - at).any():
            raise ValueError(f"a row of states is cut off within measure {measure.kind}")
        if wanted is None or place in wanted:
            data = pa.py_buffer(gather(raw, at, lengths))
            columns.append(measure.decode(binary_array(offsets_of(lengths), data)))
        at = at + lengths
    if (at != ends).any():
        raise ValueError(f"a row of states holds more than {len(measures)} measures")
    return columns
