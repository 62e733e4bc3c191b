"""Parts of a tile's ids, which a runner's state only ever gains: each bundle appends the ids that it adds.

A part contains ids of one generation as two columns, 16 bytes an id. Parts have no order, and are merged when they are
read. They aren't compressed, since hashes can't be.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from tandem.transforms.routing.seen_ids import Ids, ids_batch, joined

__all__ = ["parts_of", "read_parts"]

_COUNT, _LATE = b"ids1", b"late"
"""Kinds of parts: counted ids, late ids."""
_HEAD: Final = struct.Struct("<4sIqQ")
"""Kind, checksum of generation and ids, generation, number of ids."""
_IDS_OF_PART: Final = 1 << 16
"""Most ids of a part, a megabyte: runners limit the size of one value."""


def parts_of(counted: pa.RecordBatch, late: Iterable[pa.RecordBatch]) -> list[bytes]:
    """The parts of counted and of late ids (ID_SCHEMA)."""
    parts = list(_parts(_COUNT, Ids.of(counted)))
    for each in late:
        parts += _parts(_LATE, Ids.of(each))
    return parts


def read_parts(parts: Iterable[bytes]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """(counted ids, late ids) of all parts, as ID_SCHEMA. Raises ValueError for a damaged part."""
    found: dict[bytes, list[Ids]] = {_COUNT: [], _LATE: []}
    for part in parts:
        kind, ids = _read(part)
        found[kind].append(ids)
    return ids_batch(joined(found[_COUNT])), ids_batch(joined(found[_LATE]))


def _parts(kind: bytes, ids: Ids) -> Iterator[bytes]:
    for generation, mine in _by_generation(ids):
        for start in range(0, len(mine), _IDS_OF_PART):
            columns = [column[start : start + _IDS_OF_PART].astype("<u8") for column in (mine.hash, mine.content)]
            body = b"".join(column.tobytes() for column in columns)
            yield _HEAD.pack(kind, _checksum(generation, body), generation, len(columns[0])) + body


def _by_generation(ids: Ids) -> Iterator[tuple[int, Ids]]:
    """(generation, its ids); the usual single generation is recognized without a search."""
    if len(ids) and (ids.generation == ids.generation[0]).all():
        yield int(ids.generation[0]), ids
        return
    for generation in np.unique(ids.generation).tolist():
        yield generation, ids[ids.generation == generation]


def _read(part: bytes) -> tuple[bytes, Ids]:
    if len(part) < _HEAD.size:
        raise ValueError(f"a part of ids of {len(part)} bytes is cut off")
    kind, checksum, generation, count = _HEAD.unpack_from(part)
    body = memoryview(part)[_HEAD.size :]
    if kind not in (_COUNT, _LATE) or len(body) != 16 * count or _checksum(generation, body) != checksum:
        raise ValueError(f"a part of {count} ids of generation {generation} is damaged")
    hashes, contents = np.frombuffer(body, "<u8").reshape(2, count)
    return kind, Ids(hashes, contents, np.full(count, generation, np.int64))


def _checksum(generation: int, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(generation.to_bytes(8, "little", signed=True)))
