"""Reads the structure of Avro container files: header, blocks, codecs; every length is checked before its use."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

import pyarrow as pa

from tandem.formats.avro.walk import Fault, read_long
from tandem.schemas.errors import SourceFileError

__all__ = ["MAX_BLOCK", "Block", "Header", "read_block", "read_header", "walk_blocks"]

_MAGIC: Final = b"Obj\x01"
MAX_BLOCK: Final = 256 * 1024 * 1024
"""Bytes of the largest block, compressed or not, by default. Polars writes a table as a single block; most other
writers make blocks of 16 to 64 kB."""
_MAX_HEADER: Final = 16 * 1024 * 1024
_SYNC: Final = 16
_CODECS: Final = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a container file, before its first block."""

    schema: dict[str, Any]
    codec: str
    sync: bytes
    end: int
    """The offset of the first block."""
    entries: dict[str, bytes] = field(default_factory=dict)
    """All entries of the header, by name."""


@dataclass(frozen=True, slots=True)
class Block:
    """The place of a block in its file."""

    start: int
    data: int
    """The offset of its data."""
    size: int
    """The size of its data in bytes, compressed."""
    count: int
    """The number of its records."""

    @property
    def end(self) -> int:
        """The offset of the next block."""
        return self.data + self.size + _SYNC


def read_header(file: IO[bytes], path: str) -> Header:
    """The header; the file's position is undefined afterwards. Raises SourceFileError."""
    file.seek(0)
    head = file.read(1 << 16)
    if not head.startswith(_MAGIC):
        raise SourceFileError(f"{path}: not an Avro container: it starts with {head[:4]!r}, not with {_MAGIC!r}")
    while True:
        try:
            return _parse_header(head, path)
        except Fault as fault:
            more = file.read(len(head)) if len(head) < _MAX_HEADER else b""
            if not more:
                raise SourceFileError(f"{path}: the header can't be read: {fault}") from None
            head += more


def _parse_header(head: bytes, path: str) -> Header:
    entries: dict[str, bytes] = {}
    at = len(_MAGIC)
    while True:
        count, at = read_long(head, at)
        if count == 0:
            break
        if count < 0:
            _, at = read_long(head, at)
        for _ in range(abs(count)):
            key, at = _read_bytes(head, at)
            entries[key.decode("utf-8", "replace")], at = _read_bytes(head, at)
    sync = head[at : at + _SYNC]
    if len(sync) < _SYNC:
        raise Fault("it ends too early")
    codec = entries.get("avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _CODECS:
        raise SourceFileError(f"{path}: codec '{codec}'; allowed: {', '.join(_CODECS)}")
    try:
        schema = json.loads(entries.get("avro.schema", b""))
    except (ValueError, RecursionError):
        raise SourceFileError(f"{path}: the header has no readable avro.schema") from None
    return Header(schema, codec, sync, at + _SYNC, entries)


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    if size < 0:
        raise Fault(f"a length of {size}")
    if len(data) - at < size:
        raise Fault("it ends too early")
    return data[at : at + size], at + size


def walk_blocks(file: IO[bytes], path: str, header: Header, size: int) -> Iterator[Block]:
    """All blocks of a file of `size` bytes; their data aren't read. Raises SourceFileError for a broken structure."""
    at = header.end
    while at < size:
        block = _block_at(file, path, at)
        if block.end > size:
            raise SourceFileError(
                f"{path}: cut short: the block at byte {at} ends at byte {block.end}, the file at byte {size}"
            )
        file.seek(block.end - _SYNC)
        if file.read(_SYNC) != header.sync:
            raise SourceFileError(f"{path}: damaged: no sync marker behind the block at byte {at}")
        yield block
        at = block.end


def _block_at(file: IO[bytes], path: str, at: int) -> Block:
    file.seek(at)
    head = file.read(20)
    try:
        count, after = read_long(head, 0)
        size, after = read_long(head, after)
    except Fault:
        raise SourceFileError(f"{path}: cut short in the head of the block at byte {at}") from None
    if count < 0 or size < 0:
        raise SourceFileError(f"{path}: damaged: the block at byte {at} claims {count} records in {size} bytes")
    return Block(at, at + after, size, count)


def read_block(file: IO[bytes], path: str, header: Header, block: Block, most: int = MAX_BLOCK) -> bytes:
    """The block's decompressed records. Raises SourceFileError for damage, and for more than `most` bytes."""
    where = f"{path}: the block at byte {block.start}"
    if block.size > most:
        raise SourceFileError(
            f"{where} has {block.size:,} bytes; {most:,} are allowed, and --max-piece-memory allows more"
        )
    file.seek(block.data)
    data = file.read(block.size)
    if len(data) < block.size:
        raise SourceFileError(f"{where} is cut short")
    try:
        data = _decompress(header.codec, data, most)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, pa.ArrowException, Fault) as error:
        raise SourceFileError(f"{where} can't be decompressed ({header.codec}): {error}") from None
    if len(data) > most:
        raise SourceFileError(f"{where} decompresses to more than {most:,} bytes; --max-piece-memory allows more")
    if block.count > len(data) or (data and not block.count):
        raise SourceFileError(f"{where} claims {block.count:,} records in {len(data):,} bytes")
    return data


def _decompress(codec: str, data: bytes, most: int) -> bytes:
    """The decompressed `data`, cut to `most` + 1 bytes."""
    limit = most + 1
    if codec == "deflate":
        return _finished(inflate := zlib.decompressobj(-15), inflate.decompress(data, limit), most)
    if codec == "bzip2":
        return _finished(bunzip := bz2.BZ2Decompressor(), bunzip.decompress(data, limit), most)
    if codec == "xz":
        return _finished(unxz := lzma.LZMADecompressor(memlimit=max(most, 1 << 24)), unxz.decompress(data, limit), most)
    if codec == "snappy":
        return _snappy(data, most)
    if codec == "zstandard":
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            plain: bytes = stream.read(limit)
        return plain
    return data


def _finished(stream: Any, plain: bytes, most: int) -> bytes:
    if len(plain) <= most and not stream.eof:
        raise EOFError("the compressed data is incomplete")
    return plain


def _snappy(data: bytes, most: int) -> bytes:
    """Decompressed Snappy data, which end with the CRC-32 of the plain bytes and begin with their size."""
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > most:
        return bytes(most + 1)
    plain: bytes = pa.decompress(data[:-4], decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(plain) != int.from_bytes(data[-4:], "big"):
        raise ValueError("wrong checksum")
    return plain
