"""Segments: what goes in comes out, any Avro reader reads them, and no damage goes unnoticed."""

from __future__ import annotations

import base64
import io
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.storage import containers, segments
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.records import RecordError, decode_records, encode_records, read_container
from tandem.journal.storage.segments import (
    Codec,
    Kind,
    SegmentHeader,
    decode_segment,
    encode_segment,
    load_header,
    read_header,
)
from tandem.schemas.errors import SegmentError
from tandem.schemas.messages import MESSAGE_SCHEMA

HEADER = SegmentHeader(
    run="000003-5f1c",
    lane=2,
    number=7,
    generation=4,
    nonce="ab12",
    watermarks={"orders": 1_700_000_000_000_000, "clicks": None},
    subscription="projects/p/subscriptions/s",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MESSAGES = st.lists(
    st.builds(
        Message,
        message_id=TEXT,
        data=st.binary(max_size=200),
        publish_time=st.integers(-(2**63), 2**63 - 1),
        attributes=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    max_size=8,
).map(messages_of)


def sample(count: int = 3) -> pa.RecordBatch:
    return messages_of(
        [Message(f"id{n}", b"data" * n, 1_700_000_000_000_000 + n, {"kind": "x"} if n else {}) for n in range(count)]
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(MESSAGES, st.sampled_from(["null", "deflate", "zstandard"]))
def test_round_trip(messages: pa.RecordBatch, codec: Codec) -> None:
    data = encode_segment(HEADER, messages, codec)
    segment = decode_segment(HEADER.path, data)
    assert segment.messages.schema.equals(MESSAGE_SCHEMA)
    assert segment.messages.equals(messages)
    assert segment.header == read_header(HEADER.path, data)
    assert segment.header.count == messages.num_rows
    assert dict(segment.header.watermarks) == HEADER.watermarks
    assert data == encode_segment(HEADER, messages, codec), "equal input, equal bytes"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(MESSAGES, st.integers(0, 4), st.integers(0, 4))
def test_a_slice_is_written_as_what_it_shows(messages: pa.RecordBatch, start: int, length: int) -> None:
    part = messages.slice(start, length)
    assert decode_segment(HEADER.path, encode_segment(HEADER, part)).messages.equals(part)


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_any_avro_reader_reads_it(codec: Codec) -> None:
    rows: list[Any] = list(fastavro.reader(io.BytesIO(encode_segment(HEADER, sample(), codec))))
    assert [row["message_id"] for row in rows] == ["id0", "id1", "id2"]
    assert [row["data"] for row in rows] == [b"", b"data", b"datadata"]
    assert [row["attributes"] for row in rows] == [{}, {"kind": "x"}, {"kind": "x"}]
    assert {row["subscription_name"] for row in rows} == {HEADER.subscription}
    assert rows[2]["publish_time"].microsecond == 2


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(SegmentHeader("000001-aa", 0, 1, 1, "n", Kind.OPENING), id="opening"),
        pytest.param(SegmentHeader("000001-aa", 0, 1, 1, "n", Kind.SEAL), id="seal"),
        pytest.param(SegmentHeader("000001-aa", 0, 1, 1, "n", Kind.SEAL, final="000002-bb"), id="final seal"),
    ],
)
def test_kinds_without_messages(header: SegmentHeader) -> None:
    data = encode_segment(header, sample(0))
    found = decode_segment(header.path, data).header
    assert (found.kind, found.final, found.count) == (header.kind, header.final, 0)
    assert list(fastavro.reader(io.BytesIO(data))) == []


@pytest.mark.parametrize("written", [None, 0, -5, 1_700_000_000_000_000])
def test_when_it_was_written_is_kept_where_it_is_known(written: int | None) -> None:
    data = encode_segment(replace(HEADER, written=written), sample())
    assert decode_segment(HEADER.path, data).header.written == written
    assert read_header(HEADER.path, data).written == written
    assert (b"tandem.written" in data) == (written is not None)


def test_open_generation_after_a_seal() -> None:
    assert SegmentHeader("000001-aa", 0, 1, 5, "n", Kind.SEAL).open_generation == 6
    assert SegmentHeader("000001-aa", 0, 1, 5, "n", Kind.DATA).open_generation == 5


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
def test_every_flipped_byte_is_refused(codec: Codec) -> None:
    data = encode_segment(HEADER, sample(), codec)
    for position in range(len(data)):
        for flip in (0x01, 0x80):
            damaged = bytearray(data)
            damaged[position] ^= flip
            with pytest.raises(SegmentError, match=HEADER.path):
                decode_segment(HEADER.path, bytes(damaged))


def test_every_truncation_is_refused() -> None:
    data = encode_segment(HEADER, sample())
    for size in range(len(data)):
        with pytest.raises(SegmentError, match=f"truncated at byte {size}|digest|bad magic"):
            decode_segment(HEADER.path, data[:size])


def test_a_flipped_byte_of_the_header_fools_no_scan() -> None:
    data = encode_segment(HEADER, sample())
    truth = read_header(HEADER.path, data)
    for position in range(data.index(b"tandem.index")):
        damaged = bytearray(data)
        damaged[position] ^= 0x02
        with suppress(SegmentError):
            assert read_header(HEADER.path, bytes(damaged)) == truth


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        pytest.param(HEADER.path, lambda d: b"PAR1" + d[4:], "bad magic", id="another format"),
        pytest.param(HEADER.path, lambda d: b"", "truncated at byte 0", id="empty"),
        pytest.param(HEADER.path, lambda d: d[:-1] + b"\x00", "wrong sync", id="wrong sync"),
        pytest.param(HEADER.path, lambda d: d + b"more", "4 bytes after its block", id="bytes appended"),
        pytest.param("lanes/000003-5f1c/0002/000000000008.avro", lambda d: d, "path and header disagree", id="renamed"),
        pytest.param("lanes/000004-77aa/0002/000000000007.avro", lambda d: d, "000003-5f1c/0002", id="foreign"),
        pytest.param(
            HEADER.path,
            lambda d: d.replace(b"\x1atandem.format\x022", b"\x1atandem.format\x023"),
            "format version '3', this reader knows 1 and 2",
            id="unknown version",
        ),
    ],
)
def test_refusals_say_why(path: str, change: Any, message: str) -> None:
    damaged = change(encode_segment(HEADER, sample()))
    with pytest.raises(SegmentError, match=message) as caught:
        decode_segment(path, damaged)
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)


FIRST_FORMAT = (
    "eNp9Ub+LE0EU1kXF6go9jsNCcAu509z+yCbZJCDk0EqIsRAtDgnz4+2PZHdnmZmNnrk0/gkiXqelvYWNKFeIkiCchRwK/hVWFhbO5nZj4MAp"
    "Znjf+973vvemhwenL6+hEWeGIAHE6MPZsS53U9DbOgfCONUreoJiECkiOUhYbPiM+REYaYZFhou8St2dx10QAvnwIJRBFySiSCJF8UKIqNDb"
    "O+OSraiC8DCVIUv6c6xSNhaSh4mvTyoLcnws2g/p/1jKUBSKoC/DJbXFOBFT7Ip6/JCg6N4xmFOFRHG6FYeEM6FPlvSQVC1wJkGcVItRqsAR"
    "ijKV/WdmqbqYvODj3Vxm8nCyOl82YRTICgUvQhIuSZRQiA2P8RhJzV4tYp4lF6z82FsIrxVghBLQrLIkyWIMXHP0IvYhAY7ynWrV9ZLDEgJa"
    "UgoMw4Sen5srgEfKgmrMh2JlrI/0dn1ytcgs/1Et5WwARAozNZdxYYqyEWFZIrVq6Y2GvtptxyF1ixJk2xjVGq4HruXguudWsdOApu3RRXUA"
    "ZNjBVbBrDq66dfCa1G06xKp5tt1qNQi2CLRKthoCHq93t9W5lV/bN07N0P1e58/rnYvvRO2lO90/s+dsbswOb3eNzSPzq2l0r90xZpWN6ZfD"
    "60emN60Hwe9v33/+mH36+PwzPTh48Wp/8LT3/sqbJzfPvX32a++E3l/OiSMy"
)
"""A segment as the first version of the format has it, compressed: journals are kept for years."""


def test_the_first_version_of_the_format_is_read() -> None:
    data = zlib.decompress(base64.b64decode(FIRST_FORMAT))
    path = "lanes/000001-ab/0000/000000000003.avro"
    segment = decode_segment(path, data)
    assert segment.messages.column("data").to_pylist() == [b"one", b"two"]
    assert (segment.header.generation, segment.header.watermarks, segment.header.count) == (2, {"v": 5}, 2)
    assert read_header(path, data) == segment.header
    with pytest.raises(SegmentError, match="digest of the header differs"):
        decode_segment(path, data.replace(b"\x1atandem.format\x021", b"\x1atandem.format\x022"))


def test_plain_avro_is_refused() -> None:
    buffer = io.BytesIO()
    fastavro.writer(buffer, {"type": "record", "name": "r", "fields": []}, [{}])
    with pytest.raises(SegmentError, match="no format version"):
        decode_segment(HEADER.path, buffer.getvalue())


def test_unknown_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_segment(HEADER, sample(), "zstandard")
    monkeypatch.setattr(segments, "CODECS", ("null", "deflate"))
    with pytest.raises(SegmentError, match="unknown codec 'zstandard', known are null, deflate"):
        decode_segment(HEADER.path, data)


@pytest.mark.parametrize("codec", ["deflate", "zstandard"])
def test_inflating_is_bounded(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = messages_of([Message("m", bytes(4 << 20))])
    data = encode_segment(HEADER, bomb, codec)
    assert len(data) < 20_000
    monkeypatch.setattr(containers, "MAX_BLOCK_BYTES", 1 << 20)
    with pytest.raises(SegmentError, match="the limit is 1048576"):
        decode_segment(HEADER.path, data)


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_block_that_inflates_to_another_size(size: int) -> None:
    block = containers.compress(bytes(1000), "deflate")
    with pytest.raises(RecordError, match="another size"):
        containers.decompress(block, "deflate", size)


@pytest.mark.parametrize(
    ("block", "lengths", "message"),
    [
        pytest.param(b"\x00\x00", [3], "index covers 3 bytes", id="index too long"),
        pytest.param(b"\x00\x00\x00\x00", [4], "ends within|over the end", id="record too short"),
        pytest.param(b"\x08a", [2], "over the end", id="length over the end"),
        pytest.param(b"\xff" * 12, [12], "10 bytes|over the end", id="endless number"),
        pytest.param(b"\x00\x00\x00\x00\x00\x00", [6], "after its last field", id="bytes left"),
        pytest.param(b"\x00\x00\x00\xfe\xff\xff\x7f\x00", [8], "claims more entries", id="map of millions"),
        pytest.param(b"\x00\x00\x00\x01\x00\x00", [6], "doesn't write", id="negative map count"),
        pytest.param(b"\x00\x02\xff\x00\x00\x00", [6], "UTF-8", id="id not UTF-8"),
    ],
)
def test_broken_records(block: bytes, lengths: list[int], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        decode_records(block, np.array(lengths, np.uint32))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.lists(st.integers(0, 20), max_size=4))
def test_no_bytes_crash_the_decoder(block: bytes, lengths: list[int]) -> None:
    try:
        messages, _ = decode_records(block, np.array(lengths, np.uint32))
    except RecordError:
        return
    messages.validate(full=True)


def test_container_without_index() -> None:
    data = encode_segment(HEADER, sample())
    assert read_container(data).equals(sample())
    with pytest.raises(RecordError):
        read_container(data[:-30])


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        pytest.param(sample().select(["message_id"]), "not", id="columns"),
        pytest.param(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(["a"]),
                    pa.array([1]),
                    pa.array([[("k", None)]], MESSAGE_SCHEMA.types[2]),
                    pa.array([b""]),
                ],
                names=MESSAGE_SCHEMA.names,
            ),
            "nulls",
            id="null attribute",
        ),
    ],
)
def test_messages_that_no_segment_holds(messages: pa.RecordBatch, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_records("s", messages)


def test_a_long_header_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = MemoryBlobs()
    blobs.create(HEADER.path, encode_segment(HEADER, sample()))
    monkeypatch.setattr(segments, "HEAD_BYTES", 100)
    assert load_header(blobs, HEADER.path).count == 3
