"""Spills events to files until their tile is aggregated; only references to them cross the shuffle.

A local runner keeps everything that it shuffles in memory, and copies it several times. Here a bundle's events are
written to files of Arrow record batches, sorted by tile, and read back tile by tile, with checks: memory is bounded by
a bundle's buffer and by the largest tile. The files are needed only as long as the pipeline runs; a retried bundle
writes others.
"""

import functools
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tandem.formats.files.pieces import storage_of
from tandem.schemas.columns import KEY
from tandem.schemas.privacy.files import need_folder, private
from tandem.transforms.batch.spill_files import Extent, SpillFile, with_plain_keys, write_spill_file
from tandem.transforms.elements import TileKey
from tandem.transforms.packing import PackedCoder, pack, unpack

__all__ = ["PartRef", "ReadSpilled", "SpillParts", "SpilledParts", "forget_spilled", "read_spilled", "spill"]

SPILL_ROWS: Final = 500_000
"""Events that are collected before they are written."""
_SMALL: Final = 8_192
"""Average number of rows below which parts are joined before they are written."""


@dataclass(frozen=True, slots=True)
class PartRef:
    """A reference to events of one tile and shard: the places of the part and of the head in a file."""

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

Part = tuple[TileKey, pa.RecordBatch]
Spilled = tuple[TileKey, PartRef]


@dataclass
class SpillParts(beam.PTransform):  # type: ignore[misc]
    """Write events by tile and shard to files in a folder that all workers can access: PCollection[(TileKey,
    PartRef)].
    """

    folder: str

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[Spilled]:
        return parts | "Write" >> beam.ParDo(_Spill(self.folder)).with_output_types(Spilled)


@dataclass
class ReadSpilled(beam.PTransform):  # type: ignore[misc]
    """The spilled events of each tile and shard."""

    def expand(
        self, tiles: beam.PCollection[tuple[TileKey, Iterable[PartRef]]]
    ) -> beam.PCollection[tuple[TileKey, Iterable[pa.RecordBatch]]]:
        read = beam.Map(lambda tile: (tile[0], SpilledParts(tuple(tile[1]))))
        return tiles | "Read" >> read.with_output_types(tuple[TileKey, Iterable[pa.RecordBatch]])


class _Spill(beam.DoFn):  # type: ignore[misc]
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._held: list[Part] = []
        self._rows = 0

    def setup(self) -> None:
        if "://" not in self._folder:
            need_folder(self._folder)

    def start_bundle(self) -> None:
        self._held, self._rows = [], 0

    def process(self, part: Part) -> Iterator[Spilled]:
        self._held.append(part)
        self._rows += part[1].num_rows
        if self._rows >= SPILL_ROWS:
            yield from self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        forever = GlobalWindow()
        for spilled in self._write():
            yield WindowedValue(spilled, forever.max_timestamp(), [forever])

    def _write(self) -> list[Spilled]:
        held, self._held, self._rows = self._held, [], 0
        return spill(held, self._folder) if held else []


def spill(parts: Sequence[Part], folder: str) -> list[Spilled]:
    """Write parts to one new file of the folder; returns a reference for each tile and shard."""
    by_tile: dict[TileKey, list[pa.RecordBatch]] = {}
    for key, part in parts:
        by_tile.setdefault(key, []).append(part)
    rows = sum(part.num_rows for _, part in parts)
    if rows < _SMALL * len(parts):
        by_tile = {key: [pa.concat_batches(some)] for key, some in by_tile.items()}
    path = f"{folder}/{secrets.token_hex(16)}.arrows"
    system, inner = storage_of(path)
    if system.type_name == "local":
        os.close(private(inner, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with system.open_output_stream(inner) as sink:
        head, extents = write_spill_file(sink, list(by_tile.values()))
    return [(key, PartRef(path, head, extent)) for key, extent in zip(by_tile, extents, strict=True)]


@dataclass(frozen=True, slots=True)
class SpilledParts:
    """Events of one tile and shard, read when they are iterated, so that nothing of a large tile is held before."""

    refs: tuple[PartRef, ...]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(read_spilled(self.refs))


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
