"""What is stored, with bytes changed, cut and added: an error of ours, or the same as before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tandem.formats.dead_letters import files as dead_letters
from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.lanes.watermark_board import Published
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.journal.storage.segments import SegmentHeader, decode_segment, encode_segment, read_header
from tandem.schemas.errors import TandemError
from tandem.schemas.messages import DeadLetter
from tandem.schemas.states import from_ipc, to_ipc

RUN = "000001-5f1c22ab90de77aa"
MESSAGES = messages_of([Message(f"m{n}", b"payload %d" % n, n, {"key": "value"}) for n in range(3)])
HEADER = SegmentHeader(RUN, 0, 1, 1, "5f1c", watermarks={"source": 5}, subscription="projects/p/subscriptions/s")
SEGMENT = encode_segment(HEADER, MESSAGES, "deflate")
MANIFEST = RunManifest(RUN, 1, 2, "s", 1, 5, "5f1c22ab90de77aa", ("a",), ("b",))
LETTER = DeadLetter(payload=b"none", reason="r", stage="decode", row=3, message_id="m", publish_time=5, attributes={})
BLOCK = pa.record_batch({"numbers": pa.array([1, 2, 3]), "texts": pa.array(["a", "b", "c"])})

Decode = Callable[[bytes], Any]
CASES = [
    pytest.param(SEGMENT, lambda data: decode_segment(HEADER.path, data).messages, id="segment"),
    pytest.param(SEGMENT, lambda data: read_header(HEADER.path, data), id="header of a segment"),
    pytest.param(MANIFEST.encode(), lambda data: RunManifest.decode("runs/000001.json", data), id="manifest of a run"),
    pytest.param(Published({"s": 5}, True).encode(), lambda data: Published.decode("w", data), id="watermark"),
    pytest.param(
        encode_document({"last_generation": 3}),
        lambda data: decode_document(data, "last_generation"),
        id="note of a sealed run",
    ),
    pytest.param(to_ipc(BLOCK), from_ipc, id="block"),
    pytest.param(
        dead_letters.encode([LETTER], "lane/1", written_at=5, version="v"), dead_letters.decode, id="dead letters"
    ),
]


def mutant(data: bytes, shuffled: random.Random) -> bytes:
    """One to three changes: a bit flipped, a byte set, a stretch cut out, doubled or put elsewhere."""
    changed = bytearray(data)
    for _ in range(shuffled.randint(1, 3)):
        at, end = sorted(shuffled.randrange(len(changed) + 1) for _ in range(2))
        kind = shuffled.randrange(5)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << shuffled.randrange(8)
        elif kind == 1 and changed:
            changed[at % len(changed)] = shuffled.choice([0, 1, 127, 128, 255])
        elif kind == 2:
            del changed[at : min(end, at + 40)]
        elif kind == 3:
            changed[at:at] = changed[at : min(end, at + 40)]
        else:
            changed = changed[:at]
    return bytes(changed)


def check(data: bytes, decode: Decode, count: int, seed: str) -> None:
    wanted, shuffled = decode(data), random.Random(seed)
    for _ in range(count):
        changed = mutant(data, shuffled)
        try:
            found = decode(changed)
        except (TandemError, ValueError) as error:
            assert not isinstance(error, pa.ArrowException), changed  # noqa: PT017
        else:
            assert found == wanted, changed


@pytest.mark.parametrize(("data", "decode"), CASES)
def test_mutants_are_errors_or_the_same(data: bytes, decode: Decode) -> None:
    check(data, decode, 300, "short")


@pytest.mark.slow
@pytest.mark.parametrize(("data", "decode"), CASES)
def test_many_mutants_are_errors_or_the_same(data: bytes, decode: Decode) -> None:
    check(data, decode, 50_000 // len(CASES), "long")


def test_documents_of_before_are_read() -> None:
    assert decode_document(json.dumps({"last_generation": 3}).encode(), "last_generation") == {"last_generation": 3}
