"""Dead-letter files: Avro containers with each letter, byte for byte, and its position."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import fastavro
from pyarrow import fs

from tandem.formats.avro.containers import read_block, read_header, walk_blocks
from tandem.formats.avro.messages import AvroDecoder
from tandem.formats.avro.types import read_type
from tandem.formats.avro.walk import Fault
from tandem.formats.dead_letters.blocks import LETTERS, container, count_and_checksum, letters_of_block, plain_schema
from tandem.formats.files.pieces import storage_of
from tandem.schemas.errors import SourceFileError
from tandem.schemas.messages import DeadLetter

__all__ = ["DEAD_LETTER_SCHEMA", "StoredLetter", "decode", "encode", "letters_name", "load"]

DEAD_LETTER_SCHEMA: Final[dict[str, Any]] = {
    "type": "record",
    "name": "DeadLetter",
    "namespace": "tandem",
    "fields": [
        {"name": "payload", "type": "bytes"},
        {"name": "reason", "type": "string"},
        {"name": "stage", "type": "string"},
        {"name": "position", "type": "string"},
        {"name": "row", "type": "long"},
        {"name": "message_id", "type": "string"},
        {"name": "publish_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
        {"name": "written_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "version", "type": "string"},
        {"name": "attempts", "type": "int"},
    ],
}
"""The record of a dead-letter file; its fields are those of StoredLetter and DeadLetter."""


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as stored in its file."""

    letter: DeadLetter
    position: str
    """The position of the batch that `letter.row` counts in: a segment's path, or a file's piece."""
    written_at: int
    """Microseconds since 1970-01-01 UTC, by the writer's wall clock."""
    version: str
    """The version of the definition that couldn't read it."""
    attempts: int
    """The number of attempts to read it, 1 when it is first written."""


def encode(letters: Sequence[DeadLetter], position: str, *, written_at: int, version: str, attempts: int = 1) -> bytes:
    """An Avro container of letters that share position, time and version; equal input gives equal bytes."""
    records = [
        {
            "payload": letter.payload,
            "reason": letter.reason,
            "stage": letter.stage,
            "position": position,
            "row": letter.row,
            "message_id": letter.message_id,
            "publish_time": letter.publish_time,
            "attributes": dict(sorted(letter.attributes.items())),
            "written_at": written_at,
            "version": version,
            "attempts": attempts,
        }
        for letter in letters
    ]
    # Random in other containers. It must not be foreseeable from a payload alone, and must be the same for
    # equal input.
    sync = hashlib.blake2b(repr((position, written_at, version, attempts)).encode(), digest_size=16)
    for letter in letters:
        sync.update(letter.payload)
    return container(DEAD_LETTER_SCHEMA, records, sync.digest())


def letters_name(position: str, number: int) -> str:
    """The file's path below its version, without the suffix; characters special in paths are percent-encoded."""
    return f"{quote(position, safe='')}/{number:012d}"


def load(folder: str | Path, version: str, position: str) -> dict[int, StoredLetter]:
    """The letters of one position (LANE/NUMBER or FILE/NUMBER) below the folder of dead letters, by row.

    Empty without a file. Raises SourceFileError for a damaged or unreadable file.
    """
    place, _, number = position.rpartition("/")
    if not number.isdecimal():
        return {}
    found: dict[int, StoredLetter] = {}
    for path, data in _files(f"{folder}/{version}/{letters_name(place, int(number))}"):
        for stored in decode(data, path):
            found.setdefault(stored.letter.row, stored)
    return found


def _files(name: str) -> Iterator[tuple[str, bytes]]:
    """The files of a position, the first one first: later runs write files of their own, and the first file's letter
    counts.
    """
    system, inner = storage_of(name)
    folder, _, start = inner.rpartition("/")
    beginning, scheme = (f"{start}-", name[: len(name) - len(inner)])
    try:
        infos = system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        more = sorted(info.path for info in infos if info.base_name.startswith(beginning))
        for path in (f"{inner}.avro", *more):
            try:
                with system.open_input_file(path) as file:
                    yield scheme + path, file.read()
            except FileNotFoundError:
                continue
    except OSError as error:
        raise SourceFileError(f"{name}.avro: can't be read: {error.strerror or error}") from None


def decode(data: bytes, path: str = "dead letters") -> list[StoredLetter]:
    """The letters of a dead-letter file, in order. Raises SourceFileError, naming `path`, for any other file."""
    return list(_letters(data, path))


def _letters(data: bytes, path: str) -> Iterator[StoredLetter]:
    file = io.BytesIO(data)
    header = read_header(file, path)
    if _type_or_none(header.schema) != _TYPE:
        raise SourceFileError(f"{path}: an Avro container, but not of dead letters")
    blocks = list(walk_blocks(file, path, header, len(data)))
    said, found = header.entries.get(LETTERS), sum(block.count for block in blocks)
    if said is not None and said != count_and_checksum(found, data[header.end :]):
        raise SourceFileError(f"{path}: damaged: its header names other letters than its {found:,}, or other bytes")
    for block in blocks:
        plain = read_block(file, path, header, block)
        try:
            if said is None:
                for record in _DECODER.records(block.count, plain):
                    yield _stored(fastavro.schemaless_reader(io.BytesIO(record), _PLAIN, None))
            else:
                yield from map(_stored, letters_of_block(DEAD_LETTER_SCHEMA, block.count, plain))
        except Fault as fault:
            raise SourceFileError(f"{path}: damaged in the block at byte {block.start}: {fault}") from None


def _type_or_none(schema: Any) -> Any:
    """The schema's type, None for one that Tandem can't read."""
    try:
        return read_type(schema)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _stored(record: Any) -> StoredLetter:
    letter = DeadLetter(
        record["payload"],
        record["reason"],
        record["stage"],
        record["row"],
        record["message_id"],
        record["publish_time"],
        record["attributes"],
    )
    return StoredLetter(letter, record["position"], record["written_at"], record["version"], record["attempts"])


_TYPE: Final = read_type(DEAD_LETTER_SCHEMA)
_DECODER: Final = AvroDecoder(_TYPE)
_PLAIN: Final = fastavro.parse_schema(plain_schema(DEAD_LETTER_SCHEMA))
