"""Segments: one Avro object container each, written once, and checked as a whole before any of it is used.

Any Avro reader can read the messages. The file header's metadata holds the segment's place and meaning; `tandem.digest`
covers all of it and the records, `tandem.check` covers the parts that a scan reads without the records.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pyarrow as pa
from blake3 import blake3

from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.containers import (
    CODECS,
    MAGIC,
    Codec,
    ContainerCursor,
    compress,
    decompress,
    encode_item,
    encode_long,
)
from tandem.journal.storage.layout import segment_path
from tandem.journal.storage.records import (
    RECORD_SCHEMA,
    RecordError,
    decode_records,
    encode_records,
    read_container,
)
from tandem.schemas.errors import SegmentError

__all__ = [
    "FORMAT_VERSION",
    "HEAD_BYTES",
    "Codec",
    "Kind",
    "Segment",
    "SegmentHeader",
    "decode_segment",
    "encode_segment",
    "load_header",
    "load_segment",
    "read_header",
]

FORMAT_VERSION: Final = 2
"""The version that is written. Version 1, with BLAKE2b digests, can be read as well: a journal is kept for years."""
HEAD_BYTES: Final = 16_384
"""Bytes that a scan reads of a segment; for a longer header it reads the whole segment."""

_SCHEMA: Final = json.dumps(RECORD_SCHEMA, separators=(",", ":")).encode()


class Kind(StrEnum):
    """The kind of a segment."""

    OPENING = "opening"
    """A reader took the lane over; no messages."""
    DATA = "data"
    SEAL = "seal"
    """No more segments of generations up to this one will follow in this lane; no messages."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The header of a segment."""

    run: str
    lane: int
    number: int
    """1, 2, 3 ... within the lane, without gaps."""
    generation: int
    """Generation of the messages; for a seal the last generation that it seals. Never falls within a lane."""
    nonce: str
    """The nonce of the reader, or of the run that sealed the lane."""
    kind: Kind = Kind.DATA
    watermarks: Mapping[str, int | None] = field(default_factory=dict)
    """Per source version the lane's watermark before these messages (microseconds since 1970-01-01 UTC, null: unknown),
    which decides whether they are late."""
    subscription: str = ""
    final: str | None = None
    """For a seal that closes the lane for ever: the run that wrote it. If that is the lane's own run, it had finished.
    """
    written: int | None = None
    """The writer's wall clock (microseconds since 1970-01-01 UTC), for information only; None in version 1."""
    count: int = 0
    """Number of messages; set by `encode_segment`."""
    digest: str = ""
    """128 bits over header and records, in hexadecimal, by BLAKE3, in version 1 BLAKE2b; set by `encode_segment`."""

    @property
    def path(self) -> str:
        """Its path in the journal."""
        return segment_path(self.run, self.lane, self.number)

    @property
    def open_generation(self) -> int:
        """The lowest generation that later segments of the lane can have."""
        return self.generation + 1 if self.kind is Kind.SEAL else self.generation


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was read and verified."""

    header: SegmentHeader
    messages: pa.RecordBatch
    """The messages, as MESSAGE_SCHEMA."""


def encode_segment(header: SegmentHeader, messages: pa.RecordBatch, codec: Codec = "null") -> bytes:
    """The file's bytes: the same for the same input. `header.count` and `header.digest` are taken from the
    messages.

    Raises ValueError for messages that no segment can hold (see encode_records).
    """
    records, lengths = encode_records(header.subscription, messages)
    block = compress(records, codec)
    index = binascii.b2a_base64(lengths.astype("<u4").tobytes(), newline=False)
    body = encode_long(messages.num_rows) + encode_long(len(block)) + block if messages.num_rows else b""
    entries = _entries(header, messages.num_rows, codec)
    packed = b"".join(encode_item(key.encode(), value) for key, value in entries.items())
    digest = _blake3(packed, index, body)
    signed = packed + encode_item(b"tandem.digest", digest.encode())
    head = signed + encode_item(b"tandem.check", _blake3(signed).encode()) + encode_item(b"tandem.index", index)
    sync = _sync(digest)
    return b"".join((MAGIC, encode_long(len(entries) + 3), head, b"\x00", sync, body, sync if body else b""))


def decode_segment(path: str, data: bytes) -> Segment:
    """Verify and decode a segment. Raises SegmentError, naming the path and the cause; then no part of it is used."""
    cursor = ContainerCursor(path, data)
    cursor.magic()
    entries = dict(cursor.metadata())
    packed, signed = cursor.packed()
    sync = cursor.take(16)
    body_start = cursor.at
    count, block = (cursor.long(), cursor.view(cursor.long())) if cursor.at < len(data) else (0, memoryview(b""))
    body = memoryview(data)[body_start : cursor.at]
    if body and cursor.take(16) != sync:
        cursor.fail(f"wrong sync marker at byte {cursor.at - 16}")
    if cursor.at != len(data):
        cursor.fail(f"{len(data) - cursor.at} bytes after its block")
    header = _header(path, entries, signed)
    digest = _hash_of(path, entries)(packed, entries.get("tandem.index", b""), body)
    if digest != header.digest:
        cursor.fail(f"digest differs: stored {header.digest}, computed {digest}")
    if sync != _sync(digest):
        cursor.fail("wrong sync marker in the header")
    if count != header.count:
        cursor.fail(f"the header says {header.count} messages, the block {count}")
    return Segment(header, _messages(path, header, entries, block, data))


def read_header(path: str, data: bytes) -> SegmentHeader:
    """The header alone, from the file's first bytes; checked against `tandem.check`. Raises SegmentError."""
    cursor = ContainerCursor(path, data)
    cursor.magic()
    entries: dict[str, bytes] = {}
    for key, value in cursor.metadata():
        entries[key] = value
        if key == "tandem.check":
            return _header(path, entries, cursor.packed()[1])
    return _header(path, entries, b"")


def load_header(blobs: BlobStore, path: str) -> SegmentHeader:
    """Read a segment's header from the store. Raises BlobMissingError, SegmentError."""
    head = blobs.head(path, HEAD_BYTES)
    try:
        return read_header(path, head)
    except SegmentError:
        if len(head) < HEAD_BYTES:
            raise
        return decode_segment(path, blobs.read(path)).header


def load_segment(blobs: BlobStore, path: str) -> Segment:
    """Read and verify a segment from the store. Raises BlobMissingError, SegmentError."""
    return decode_segment(path, blobs.read(path))


def _entries(header: SegmentHeader, count: int, codec: str) -> dict[str, bytes]:
    marks = json.dumps(dict(header.watermarks), sort_keys=True, separators=(",", ":"))
    fields = {
        "avro.schema": _SCHEMA,
        "avro.codec": codec.encode(),
        "tandem.format": str(FORMAT_VERSION).encode(),
        "tandem.run": header.run.encode(),
        "tandem.lane": str(header.lane).encode(),
        "tandem.number": str(header.number).encode(),
        "tandem.generation": str(header.generation).encode(),
        "tandem.nonce": header.nonce.encode(),
        "tandem.kind": header.kind.value.encode(),
        "tandem.watermarks": marks.encode(),
        "tandem.subscription": header.subscription.encode(),
        "tandem.count": str(count).encode(),
    }
    if header.written is not None:
        fields["tandem.written"] = str(header.written).encode()
    if header.final is not None:
        fields["tandem.final"] = header.final.encode()
    return fields


def _header(path: str, entries: Mapping[str, bytes], signed: bytes) -> SegmentHeader:
    """The header of verified entries."""
    if entries.get("tandem.check") != _hash_of(path, entries)(signed).encode():
        raise SegmentError(f"{path}: digest of the header differs; the segment is refused whole")
    if (codec := entries.get("avro.codec", b"null").decode(errors="replace")) not in CODECS:
        raise SegmentError(f"{path}: unknown codec {codec!r}, known are {', '.join(CODECS)}")
    try:
        text = {key: value.decode() for key, value in entries.items() if key.startswith("tandem.")}
        header = SegmentHeader(
            run=text["tandem.run"],
            lane=int(text["tandem.lane"]),
            number=int(text["tandem.number"]),
            generation=int(text["tandem.generation"]),
            nonce=text["tandem.nonce"],
            kind=Kind(text["tandem.kind"]),
            watermarks=json.loads(text["tandem.watermarks"]),
            subscription=text["tandem.subscription"],
            final=text.get("tandem.final"),
            written=int(text["tandem.written"]) if "tandem.written" in text else None,
            count=int(text["tandem.count"]),
            digest=text["tandem.digest"],
        )
    except (KeyError, ValueError) as error:
        raise SegmentError(f"{path}: header entry missing or malformed: {error}") from None
    if header.path != path:
        raise SegmentError(f"{path}: path and header disagree, the header says {header.path}; renamed or foreign")
    return header


def _messages(
    path: str, header: SegmentHeader, entries: Mapping[str, bytes], block: memoryview, data: bytes
) -> pa.RecordBatch:
    index = entries.get("tandem.index")
    try:
        if index is None:
            return read_container(data)
        lengths = np.frombuffer(binascii.a2b_base64(index), "<u4")
        if len(lengths) != header.count:
            raise RecordError(f"{len(lengths)} records in the index, {header.count} messages")
        records = decompress(block, entries.get("avro.codec", b"null").decode(), int(lengths.sum(dtype=np.int64)))
        return decode_records(records, lengths, header.subscription)[0]
    except (RecordError, ValueError) as error:
        raise SegmentError(f"{path}: {error}; the segment is refused whole") from None


def _blake2b(*parts: bytes | memoryview) -> str:
    return str(_fed(blake2b(digest_size=16), parts).hexdigest())


def _blake3(*parts: bytes | memoryview) -> str:
    """Takes a fifth of BLAKE2b's time, which was a tenth of a replay's."""
    return str(_fed(blake3(), parts).hexdigest(length=16))


def _fed(digest: Any, parts: Sequence[bytes | memoryview]) -> Any:
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest


_HASHES: Final[Mapping[str, Callable[..., str]]] = {"1": _blake2b, str(FORMAT_VERSION): _blake3}
"""Hash functions, by format version."""


def _hash_of(path: str, entries: Mapping[str, bytes]) -> Callable[..., str]:
    version = entries.get("tandem.format", b"").decode(errors="replace")
    if version not in _HASHES:
        found = f"format version {version!r}" if version else "no format version"
        raise SegmentError(f"{path}: {found}, this reader knows {' and '.join(_HASHES)}; the segment is refused whole")
    return _HASHES[version]


def _sync(digest: str) -> bytes:
    return blake2b(digest.encode(), digest_size=16, person=b"sync marker").digest()
