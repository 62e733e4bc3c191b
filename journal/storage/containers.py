"""The Avro object container around a segment's records: its parts in order, and its compressed block."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Literal, NoReturn

import pyarrow as pa

from tandem.journal.storage.records import MAX_BLOCK_BYTES, RecordError
from tandem.schemas.errors import SegmentError

__all__ = [
    "CODECS",
    "MAGIC",
    "Codec",
    "ContainerCursor",
    "compress",
    "decompress",
    "encode_item",
    "encode_long",
]

MAGIC: Final = b"Obj\x01"
CODECS: Final = ("null", "deflate", "zstandard")

Codec = Literal["null", "deflate", "zstandard"]


class ContainerCursor:
    """Reads an Avro file's parts in order; its errors name the part that is truncated."""

    def __init__(self, path: str, data: bytes) -> None:
        self._path, self._data, self.at = path, data, 0
        self._packed = self._signed = b""

    def fail(self, cause: str) -> NoReturn:
        """Refuse the file: SegmentError."""
        raise SegmentError(f"{self._path}: {cause}; the segment is refused whole")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        self._pass(size)
        return self._data[self.at - size : self.at]

    def view(self, size: int) -> memoryview:
        """The next `size` bytes, without a copy."""
        self._pass(size)
        return memoryview(self._data)[self.at - size : self.at]

    def _pass(self, size: int) -> None:
        if size < 0:
            self.fail(f"a negative length at byte {self.at}")
        if self.at + size > len(self._data):
            self.fail(f"truncated at byte {len(self._data)}")
        self.at += size

    def magic(self) -> None:
        """Read the four bytes that begin every container."""
        if self.take(4) != MAGIC:
            self.fail(f"bad magic {self._data[:4]!r}, not an Avro container")

    def long(self) -> int:
        """A zigzag variable-length integer."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                self.fail(f"a number of more than 10 bytes at byte {self.at}")

    def sized(self) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.long())

    def metadata(self) -> Iterator[tuple[str, bytes]]:
        """Entries of the file header, up to and with the end of the map."""
        while count := self.long():
            if count < 0:
                count = -count
                self.long()
            start = self.at
            for _ in range(count):
                before = self.at
                key = self.sized().decode(errors="replace")
                value = self.sized()
                if key == "tandem.digest":
                    self._packed, self._signed = self._data[start:before], self._data[start : self.at]
                yield key, value

    def packed(self) -> tuple[bytes, bytes]:
        """(bytes of the entries before `tandem.digest`, bytes including it)."""
        return self._packed, self._signed


def compress(records: bytes, codec: Codec) -> bytes:
    """A block's bytes. Raises ValueError for another codec."""
    if codec == "null" or not records:
        return records
    if codec == "deflate":
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        return deflate.compress(records) + deflate.flush()
    if codec == "zstandard":
        return bytes(pa.compress(records, "zstd", asbytes=True))
    raise ValueError(f"unknown codec {codec!r}, known are {', '.join(CODECS)}")


def decompress(block: bytes | memoryview, codec: str, size: int) -> bytes | memoryview:
    """The records; never inflates to more than one byte over `size`, which is in the header's index."""
    if size > MAX_BLOCK_BYTES:
        raise RecordError(f"a block of {size} bytes, the limit is {MAX_BLOCK_BYTES}")
    if codec == "null" or not block:
        return block
    try:
        if codec == "deflate":
            records = zlib.decompressobj(-15).decompress(block, size + 1)
        else:
            with pa.CompressedInputStream(pa.BufferReader(block), "zstd") as stream:
                records = stream.read(size + 1)
    except (zlib.error, OSError) as error:
        raise RecordError(f"{codec} block can't be inflated: {error}") from None
    if len(records) != size:
        raise RecordError(f"{codec} block inflates to another size than the {size} bytes of its records")
    return bytes(records)


def encode_long(value: int) -> bytes:
    """A non-negative integer as Avro's long."""
    value <<= 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_item(key: bytes, value: bytes) -> bytes:
    """One entry of a map of bytes."""
    return encode_long(len(key)) + key + encode_long(len(value)) + value
