from typing import Any

import pytest
from google.pubsub_v1 import types

from tandem.emulator.rpc.wire import frames_of, received_messages, split_messages
from tandem.emulator.state.leases import ACK_ID_BYTES, AckIdPrefixes

FIRST_ID = 1_234_567_890_123_456
TIME_NS = 1_700_000_000_123_456_789


def delivered(messages: list[Any], time_ns: int = TIME_NS) -> list[Any]:
    request = types.PublishRequest.pb()(topic="projects/p/topics/orders", messages=messages)
    frames = frames_of(split_messages(request.SerializeToString()), FIRST_ID, time_ns)
    prefix = next(AckIdPrefixes(nonce=7))
    received = types.PullResponse.pb().FromString(received_messages(prefix, frames)).received_messages
    ack_ids = [message.ack_id for message in received]
    assert len(set(ack_ids)) == len(messages)
    assert {len(ack_id) for ack_id in ack_ids} == {ACK_ID_BYTES}
    return [message.message for message in received]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"data": b"x"}, id="small"),
        pytest.param({"data": b"x" * 127}, id="around a length of one byte"),
        pytest.param({"data": b"x" * 20_000}, id="length of three bytes"),
        pytest.param({"data": bytes(range(256))}, id="every byte"),
        pytest.param({"attributes": {"a": "1", "ü": "ß"}}, id="attributes only"),
        pytest.param({"data": b"x", "attributes": {"a": ""}, "ordering_key": "k"}, id="everything"),
    ],
)
def test_a_message_comes_out_as_it_went_in(fields: dict[str, Any]) -> None:
    message = types.PubsubMessage.pb()(**fields)
    (got,) = delivered([message])
    assert got.message_id == str(FIRST_ID)
    assert (got.publish_time.seconds, got.publish_time.nanos) == (1_700_000_000, 123_456_789)
    got.ClearField("message_id")
    got.ClearField("publish_time")
    assert got == message


def test_every_length_up_to_a_thousand_survives() -> None:
    messages = [types.PubsubMessage.pb()(data=b"x" * size) for size in range(1, 1000)]
    got = delivered(messages)
    assert [len(message.data) for message in got] == list(range(1, 1000))
    assert [message.message_id for message in got] == [str(FIRST_ID + i) for i in range(999)]


@pytest.mark.parametrize("time_ns", [0, 5, 1_700_000_000_000_000_000], ids=["zero", "no seconds", "no nanos"])
def test_id_and_time_of_the_publisher_are_overruled(time_ns: int) -> None:
    message = types.PubsubMessage.pb()(data=b"x", message_id="forged-and-long", publish_time={"seconds": 9, "nanos": 9})
    (got,) = delivered([message], time_ns)
    assert got.message_id == str(FIRST_ID)
    assert got.publish_time.seconds * 10**9 + got.publish_time.nanos == time_ns


def test_nothing_delivered_is_an_empty_response() -> None:
    assert received_messages("", []) == b""
