from typing import Any

import pytest
from google.pubsub_v1 import types

from tandem.emulator.state.errors import InvalidArgument
from tandem.emulator.state.messages import read_publication

TOPIC = "projects/shop/topics/orders"


def request(*messages: dict[str, Any], topic: str = TOPIC) -> bytes:
    data: bytes = types.PublishRequest.pb()(topic=topic, messages=messages).SerializeToString()
    return data


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"data": b"x"}, id="data"),
        pytest.param({"attributes": {"a": "1"}}, id="attributes"),
        pytest.param({"data": b"x" * 10_000_000}, id="10 MB"),
        pytest.param({"data": b"goog"}, id="reserved word in data"),
        pytest.param({"attributes": {"googclient_trace": "1"}}, id="attribute of the client libraries"),
        pytest.param({"attributes": {f"a{i}": "1" for i in range(100)}}, id="100 attributes"),
        pytest.param({"attributes": {"k" * 256: "v" * 1024}}, id="longest attribute"),
        pytest.param({"data": b"x", "ordering_key": "k" * 1024}, id="longest ordering key"),
    ],
)
def test_messages_that_are_taken(message: dict[str, Any]) -> None:
    publication = read_publication(request(message))
    assert publication.topic == TOPIC
    (raw,) = publication.messages
    assert types.PubsubMessage.pb().FromString(raw) == types.PubsubMessage.pb()(**message)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param({}, "Message 1 is empty", id="nothing"),
        pytest.param({"ordering_key": "k"}, "Message 1 is empty", id="only an ordering key"),
        pytest.param({"data": b"x" * 10_000_001}, "data has 10000001 bytes", id="more than 10 MB"),
        pytest.param({"attributes": {"google": "1"}}, "'google'", id="reserved attribute"),
        pytest.param({"data": b"x", "attributes": {"goog": ""}}, "'goog'", id="shortest reserved attribute"),
        pytest.param({"attributes": {f"a{i}": "1" for i in range(101)}}, "101 attributes", id="101 attributes"),
        pytest.param({"attributes": {"k" * 257: ""}}, "attribute key has 257", id="long attribute key"),
        pytest.param({"attributes": {"ü" * 129: ""}}, "attribute key has 258", id="limits are bytes"),
        pytest.param({"attributes": {"a": "v" * 1025}}, "value of attribute 'a'", id="long value"),
        pytest.param({"data": b"x", "ordering_key": "k" * 1025}, "ordering key", id="long ordering key"),
    ],
)
def test_messages_that_are_refused(message: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read_publication(request({"data": b"fine"}, message))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(request(), "You passed 0", id="no message"),
        pytest.param(request(*[{"data": b"x"}] * 1001), "You passed 1001", id="too many messages"),
        pytest.param(request({"data": b"x" * 10_485_760}), "10485760 bytes", id="too large"),
        pytest.param(request({"data": b"x"}, topic="orders"), r"\(name=orders\)", id="bad topic"),
        pytest.param(b"\xff\xff\xff", "not a PublishRequest", id="not a request"),
        pytest.param(
            request({"attributes": {"a": "~~"}}).replace(b"~~", b"\xff\xff"),
            "not a PublishRequest",
            id="not UTF-8",
        ),
    ],
)
def test_requests_that_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read_publication(data)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(["", ""], ()), (["a", ""], ["a", ""]), (["a", "b"], ["a", "b"])],
    ids=["none", "some", "all"],
)
def test_ordering_keys(keys: list[str], expected: list[str]) -> None:
    publication = read_publication(request(*[{"data": b"x", "ordering_key": key} for key in keys]))
    assert publication.ordering_keys == expected
