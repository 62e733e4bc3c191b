"""Decodes many Avro messages in one call of the decoder, without a Python object for each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.walk import write_long
from tandem.formats.avro.wire import END, END_VALUES, WireError, decode_wire

__all__ = ["together"]


def together(payloads: pa.BinaryArray, schema: str) -> pa.RecordBatch:
    """One row for each payload of a column without nulls, joined to one message. Raises errors for which `is_damage` is
    true.
    """
    numbers = np.arange(len(payloads))
    places = np.arange(0, 8 * len(payloads) + 8, 8, dtype=np.int32)
    rows = pa.Array.from_buffers(pa.binary(), len(payloads), [None, pa.py_buffer(places), pa.py_buffer(numbers)])
    empty = pa.scalar(b"", pa.binary())
    joined = pc.binary_join_element_wise(payloads, pa.scalar(END, pa.binary()), rows, empty)
    size = int(np.frombuffer(joined.buffers()[1], np.int32)[len(payloads)])
    message = b"".join((write_long(len(payloads)), memoryview(joined.buffers()[2])[:size], b"\0", END))
    found = decode_wire([message], schema).column(0).values
    if len(found) != len(payloads):
        raise WireError(f"{len(found)} records in {len(payloads)} messages")
    batch = pa.RecordBatch.from_struct_array(found)
    for column, expected in zip(batch.columns[-3:], (*END_VALUES, numbers), strict=True):
        if not bool((column.to_numpy().view(np.int64) == expected).all()):
            raise WireError("bytes left over behind the last field")
    return batch
