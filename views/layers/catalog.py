"""The database's records of batch runs' files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.buckets import bucket_of
from tandem.schemas.states import from_ipc, to_ipc
from tandem.views.batch.chains import Chain
from tandem.views.layers.reading import LayerFile
from tandem.views.layers.tables import batch_files, file_contents
from tandem.views.layers.writing import BatchEntry, LayerData
from tandem.views.storage.driver_rows import select_rows

__all__ = [
    "beside_database",
    "known_contents",
    "layer_files",
    "packed_contents",
    "resolved",
    "stored_place",
    "unpacked_contents",
]

_LEAST, _MOST = -(2**63), 2**63 - 1
_F: Final = batch_files.c
_FILES: Final = sa.select(
    _F.batch_run,
    _F.part,
    _F.place,
    _F.path,
    _F.size,
    _F.rows,
    _F.first_tile,
    _F.last_tile,
    _F.first_bucket,
    _F.last_bucket,
).where(
    _F.definition == sa.bindparam("of_definition"),
    _F.first_tile <= sa.bindparam("last"),
    _F.last_tile >= sa.bindparam("first"),
)
_C: Final = file_contents.c
_CONTENTS: Final = sa.select(_C.contents).where(
    _C.definition == sa.bindparam("of_definition"),
    _C.batch_run == sa.bindparam("run"),
    _C.part == sa.bindparam("of_part"),
)
_ENTRY: Final = ("offset", "size", "crc", "rows", "first_key", "last_key", "first_tile", "last_tile")
_SCHEMA: Final = b"tandem.schema"


def layer_files(
    connection: sa.Connection,
    definition: int,
    chain: Chain,
    tiles: tuple[int, int] | None = None,
    key: str | None = None,
) -> list[LayerFile]:
    """The files of a chain's runs that may hold states of a key and of tiles in [start, end), by run and part."""
    first, last = (tiles[0], tiles[1] - 1) if tiles is not None else (_LEAST, _MOST)
    values = {"of_definition": definition, "first": first, "last": last}
    found = [row for row in select_rows(connection, _FILES, values) if row[0] in chain]
    if found and key is not None:
        bucket = bucket_of(key)
        found = [row for row in found if row[8] <= bucket <= row[9]]
    return [_file(connection, definition, row) for row in sorted(found, key=lambda row: (row[0], row[1]))]


def _file(connection: sa.Connection, definition: int, row: Sequence[Any]) -> LayerFile:
    run, part, place, path = row[:4]
    values = {"of_definition": definition, "run": run, "of_part": part}
    known = known_contents(path, lambda: select_rows(connection, _CONTENTS, values)[0][0])
    size, rows, first_tile, last_tile, first_bucket, last_bucket = row[4:]
    bounds = (first_tile, last_tile, first_bucket, last_bucket)
    return LayerFile(definition, run, part, resolved(connection, place), path, size, rows, *bounds, *known)


Contents = tuple[bytes, tuple[BatchEntry, ...]]


class _Kept:
    """A bounded cache of contents by the file's path, which is never reused; the oldest go."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, dict[str, Contents]()

    def get(self, path: str) -> Contents | None:
        return self._held.get(path)

    def put(self, path: str, contents: Contents) -> Contents:
        while len(self._held) >= self._most:
            self._held.pop(next(iter(self._held)), None)
        self._held[path] = contents
        return contents


_KNOWN: Final = _Kept(4_096)


def known_contents(path: str, read: Callable[[], bytes]) -> Contents:
    """The schema and the batches of a file, read from the database at the first call only."""
    known = _KNOWN.get(path)
    return known if known is not None else _KNOWN.put(path, unpacked_contents(read()))


def packed_contents(layer: LayerData) -> bytes:
    """The schema and the batches of a file, for `file_contents`."""
    columns = zip(*map(astuple, layer.batches), strict=True)
    batch = pa.record_batch({name: list(column) for name, column in zip(_ENTRY, columns, strict=True)})
    return to_ipc(batch.replace_schema_metadata({_SCHEMA: layer.schema}))


def unpacked_contents(packed: bytes) -> Contents:
    """The inverse of `packed_contents`."""
    batch = from_ipc(packed)
    about: Mapping[bytes, bytes] = batch.schema.metadata
    rows = zip(*(batch.column(name).to_pylist() for name in _ENTRY), strict=True)
    return about[_SCHEMA], tuple(BatchEntry(*row) for row in rows)


def stored_place(url: sa.URL, place: str) -> str:
    """The stored form of a place: '' for the default place of an embedded database."""
    return "" if place == beside_database(url) else place


def resolved(connection: sa.Connection, place: str) -> str:
    """The place of a stored form."""
    return place or beside_database(connection.engine.url)


@lru_cache(maxsize=64)
def beside_database(url: sa.URL) -> str:
    """The default place of an embedded database's layers: the folder `layers` beside it; '' for another database."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return ""
    return os.path.join(os.path.dirname(os.path.abspath(url.database)), "layers")
