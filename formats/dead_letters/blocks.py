"""Encodes dead letters as blocks of an Avro container, thousands at once, and decodes them.

Blocks are deflated, which every library reads. Deflate has no checksum, and a container cut off behind a block looks
whole: so the header has the number of letters and the CRC-32C of all blocks.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import fastavro
import google_crc32c

from tandem.formats.avro.walk import Fault

__all__ = ["LETTERS", "container", "count_and_checksum", "letters_of_block", "plain_schema"]

LETTERS: Final = "tandem.letters"
"""The header's entry for `count_and_checksum`; files of earlier versions have none."""
_AT_ONCE: Final = 4_096
_BYTES: Final = 4 << 20
"""Bytes of payloads that fill a block, as `_AT_ONCE` letters do."""
_HEADER: Final = fastavro.parse_schema({"type": "map", "values": "bytes"})
_BROKEN: Final = (EOFError, ValueError, IndexError, KeyError, OverflowError, MemoryError, StopIteration)


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without logical types: fastavro would convert times to datetimes, which end with the year 9999."""
    fields = [{**entry, "type": "long"} if "timestamp" in str(entry["type"]) else entry for entry in schema["fields"]]
    return {**schema, "fields": fields}


def count_and_checksum(letters: int, blocks: bytes) -> bytes:
    """The header's entry for a number of letters and the bytes of their blocks."""
    return b"%d %08x" % (letters, google_crc32c.value(blocks))


def container(schema: Mapping[str, Any], records: Sequence[Mapping[str, Any]], sync: bytes) -> bytes:
    """An Avro container of these records, which have a payload each."""
    array = fastavro.parse_schema({"type": "array", "items": plain_schema(schema)})
    blocks = b"".join(part for some in _filled(records) for part in (*_block(array, some), sync))
    entries = {
        "avro.codec": b"deflate",
        "avro.schema": json.dumps(schema).encode(),
        LETTERS: count_and_checksum(len(records), blocks),
    }
    head = io.BytesIO()
    fastavro.schemaless_writer(head, _HEADER, entries)
    return b"".join([b"Obj\x01", head.getvalue(), sync, blocks])


def _block(array: Any, records: Sequence[Mapping[str, Any]]) -> tuple[bytes, bytes, bytes]:
    """(number of records, number of bytes, these bytes) of a block."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, array, records)
    count = _long(len(records))
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    # An array is how many items there are, the items, and a zero for the end of its only block.
    data = deflate.compress(out.getbuffer()[len(count) : -1]) + deflate.flush()
    return count, _long(len(data)), data


def _filled(records: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    held, size = list[Mapping[str, Any]](), 0
    for record in records:
        held.append(record)
        size += len(record["payload"])
        if len(held) >= _AT_ONCE or size >= _BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def letters_of_block(schema: Mapping[str, Any], count: int, plain: bytes) -> list[Any]:
    """The records of a decompressed block of `container`. Raises Fault for an invalid one."""
    data = io.BytesIO(_long(count) + plain + b"\0")
    array = fastavro.parse_schema({"type": "array", "items": plain_schema(schema)})
    try:
        found = fastavro.schemaless_reader(data, array, None)
    except _BROKEN as error:
        raise Fault(f"no letters: {error}") from None
    if not isinstance(found, list) or len(found) != count or data.read(1):
        raise Fault(f"other letters than the {count:,} that it names")
    return found


def _long(number: int) -> bytes:
    """A non-negative number in Avro's encoding."""
    rest, out = number << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
