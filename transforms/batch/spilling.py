"""Spills events and states to files; only references to them cross the shuffle.

A local runner keeps everything that it shuffles in memory, and copies it several times. Here batches are written to
files of Arrow record batches, and read back part by part, with checks. The files are needed only as long as the
pipeline runs; a retried bundle writes others.
"""

import functools
import os
import secrets
import threading
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import apache_beam as beam
import pyarrow as pa

from tandem.formats.files.pieces import storage_of
from tandem.schemas.columns import KEY
from tandem.schemas.privacy.files import private
from tandem.transforms.batch.spill_files import Extent, SpillFile, with_plain_keys, write_spill_file
from tandem.transforms.packing import PackedCoder, pack, unpack

__all__ = ["PartRef", "forget_spilled", "read_spilled", "spill", "spill_parts"]

Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True, slots=True)
class PartRef:
    """A reference to events or states: the places of the part and of the head in a file."""

    file: str
    head: Extent
    part: Extent


class PartRefCoder(PackedCoder):
    """Coder of PartRef."""

    value_type = PartRef

    def encode(self, value: PartRef) -> bytes:
        # dataclasses.astuple takes ten times as long, for each of millions of parts
        places = [[each.start, each.size, each.crc, each.plain] for each in (value.head, value.part)]
        return pack([value.file, *places])

    def decode(self, encoded: bytes) -> PartRef:
        (file, head, part), _ = unpack(encoded)
        return PartRef(file, Extent(*head), Extent(*part))


beam.coders.registry.register_coder(PartRef, PartRefCoder)


def spill(parts: Sequence[tuple[Place, pa.RecordBatch]], folder: str) -> list[tuple[Place, PartRef]]:
    """Write batches to one new file of the folder; returns a reference for each place."""
    by_place: dict[Place, list[pa.RecordBatch]] = {}
    for place, part in parts:
        by_place.setdefault(place, []).append(part)
    return list(zip(by_place, spill_parts(list(by_place.values()), folder), strict=True))


def spill_parts(parts: Sequence[Sequence[pa.RecordBatch]], folder: str) -> list[PartRef]:
    """Write parts, of some batches each, to one new file of the folder; returns a reference for each part."""
    path = f"{folder}/{secrets.token_hex(16)}.arrows"
    system, inner = storage_of(path)
    if system.type_name == "local":
        os.close(private(inner, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with system.open_output_stream(inner) as sink:
        head, extents = write_spill_file(sink, parts)
    return [PartRef(path, head, extent) for extent in extents]


def read_spilled(refs: Iterable[PartRef]) -> list[pa.RecordBatch]:
    """The events that the references name, all of one schema. Raises SpillError if they differ from what was
    written.
    """
    batches = [batch for ref in refs for batch in _FILES.of(ref.file, ref.head).batches(ref.part)]
    if len({batch.schema.field(KEY).type for batch in batches}) > 1:
        batches = [with_plain_keys(batch) for batch in batches]
    return batches


def forget_spilled(folder: str) -> None:
    """Free the disk space of all spill files in a folder on this machine, even of open ones."""
    for path in Path(folder).glob("*.arrows"):
        with suppress(FileNotFoundError):
            os.truncate(path, 0)


class _Files(threading.local):
    """Open files of a thread: a SpillFile isn't thread-safe."""

    def __init__(self) -> None:
        self.of = functools.lru_cache(maxsize=32)(_open)


def _open(path: str, head: Extent) -> SpillFile:
    system, inner = storage_of(path)
    return SpillFile(system.open_input_file(inner), path, head)


_FILES: Final = _Files()
