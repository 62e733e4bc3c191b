"""Serialized pull responses as columns: the same as the official classes make of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from google.pubsub_v1.types import PubsubMessage, PullResponse

from tandem.journal.broker.pull_responses import ResponseError, messages_of, split_response
from tandem.journal.clocks import SECOND

Row = dict[str, Any]


def response(*messages: Row) -> bytes:
    """A response of messages with ack ids a0, a1, ..."""
    made = PullResponse.pb()()
    for number, message in enumerate(messages):
        received = made.received_messages.add(ack_id=f"a{number}")
        received.message.CopyFrom(PubsubMessage.pb()(**message))
    return bytes(made.SerializeToString())


def plainly(data: bytes) -> tuple[list[Row], list[str]]:
    """What the official classes say."""
    received = PullResponse.pb().FromString(data).received_messages
    rows = [
        {
            "message_id": item.message.message_id,
            "publish_time": item.message.publish_time.seconds * SECOND + item.message.publish_time.nanos // 1_000,
            "attributes": sorted(item.message.attributes.items()),
            "data": item.message.data,
        }
        for item in received
    ]
    return rows, [item.ack_id for item in received]


def varied(seed: int) -> list[Row]:
    """Messages of all kinds."""
    choose = random.Random(seed)
    return [
        {
            "data": choose.randbytes(choose.choice([0, 1, 100, 127, 128, 20_000])),
            "message_id": choose.choice(["", "7", "1234567890123456", "é"]),
            "publish_time": {"seconds": choose.choice([0, 1, 1_795_000_000]), "nanos": choose.choice([0, 999_999_999])},
            "attributes": {f"k{n}": "v" * n for n in range(choose.choice([0, 0, 0, 3]))},
            "ordering_key": choose.choice(["", "key"]),
        }
        for _ in range(choose.choice([1, 2, 50]))
    ]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="none"),
        pytest.param([{"data": b"x", "message_id": "1", "publish_time": {"seconds": 5}}], id="one"),
        pytest.param([{}], id="nothing in it"),
        pytest.param([{"data": b"x"}, {}, {"data": b"y", "message_id": "3"}], id="one without anything between"),
        pytest.param([{"attributes": {"b": "2", "a": "1"}}, {"data": b"x"}], id="attributes of some"),
        *(pytest.param(varied(seed), id=f"varied {seed}") for seed in range(20)),
    ],
)
def test_as_the_official_classes(messages: list[Row]) -> None:
    data = response(*messages)
    found, ack_ids = messages_of(split_response(data))
    assert (found.to_pylist(), ack_ids) == plainly(data)


def test_the_last_value_of_a_field_wins() -> None:
    """Servers and publishers may put fields in any order, and twice."""
    parts: list[Row] = [
        {"data": b"first", "message_id": "1", "publish_time": {"seconds": 9, "nanos": 5_000}},
        {"message_id": "2"},
    ]
    inner = b"".join(bytes(PubsubMessage.pb()(**part).SerializeToString()) for part in parts)
    unknown = b"\x38\x96\x01" + b"\x41" + bytes(8) + b"\x4d" + bytes(4)  # fields 7, 8, 9 of other kinds
    inner = unknown + inner
    frame = b"\x12" + bytes([len(inner)]) + inner + b"\x0a\x01a\x0a\x01b"
    data = b"\x0a" + bytes([len(frame)]) + frame
    found, ack_ids = messages_of(split_response(data))
    assert (found.to_pylist(), ack_ids) == plainly(data)
    assert (found["message_id"][0].as_py(), ack_ids) == ("2", ["b"])


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_refused_or_read_alike(seed: int) -> None:
    """Never anything else than what the official classes would read of it."""
    whole, choose = bytearray(response(*varied(seed)[:4])), random.Random(seed)
    for _ in range(200):
        data = bytearray(whole[: choose.randint(1, len(whole))])
        data[choose.randrange(min(len(data), 200))] = choose.randrange(256)
        try:
            found = messages_of(split_response(bytes(data)))
        except ResponseError:
            continue
        try:
            wanted = plainly(bytes(data))
        except Exception:  # what protocol buffers refuse, say a field number of zero, may be read: nothing is invented
            continue
        assert (found[0].to_pylist(), found[1]) == wanted
