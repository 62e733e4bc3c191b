"""Caches batches without rows, one for each schema."""

from __future__ import annotations

from collections import deque
from typing import Final

import pyarrow as pa

__all__ = ["without_rows"]


def without_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of the same schema without rows, which doesn't keep this batch's rows in memory as a slice would."""
    schema = batch.schema
    for empty in tuple(_KNOWN):  # comparing two schemas is a thousand times as fast as the hash of one
        if empty.schema.equals(schema, check_metadata=True):
            return empty
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    _KNOWN.append(empty)
    return empty


_KNOWN: Final = deque[pa.RecordBatch](maxlen=16)
"""Empty batches of the schemas that were used last."""
