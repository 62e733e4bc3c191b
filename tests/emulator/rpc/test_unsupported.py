"""Every method that the real service has is either served here or refused by name."""

import inspect
import re
from typing import Any

import grpc
import pytest
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tandem.emulator import EmbeddedPubSub

SERVED = {
    *(f"Publisher/{verb}" for verb in ("CreateTopic", "GetTopic", "ListTopics", "DeleteTopic", "Publish")),
    "Publisher/ListTopicSubscriptions",
    *(f"Subscriber/{verb}Subscription" for verb in ("Create", "Get", "Delete")),
    *(f"Subscriber/{verb}" for verb in ("Pull", "Acknowledge", "ModifyAckDeadline", "ListSubscriptions")),
    "Subscriber/StreamingPull",
    "Publisher/UpdateTopic",
    "SchemaService/CommitSchema",
    "SchemaService/CreateSchema",
    "SchemaService/DeleteSchema",
    "SchemaService/GetSchema",
    "SchemaService/ListSchemaRevisions",
    "SchemaService/ListSchemas",
    "SchemaService/ValidateMessage",
    "SchemaService/ValidateSchema",
}


def methods_of_the_service() -> list[str]:
    found = set()
    for transport in (PublisherGrpcTransport, SubscriberGrpcTransport, SchemaServiceGrpcTransport):
        found.update(re.findall(r'"(/google\.[a-zA-Z0-9.]+/[A-Za-z]+)"', inspect.getsource(transport)))
    return sorted(found)


def refusal_of(channel: grpc.Channel, method: str, request: bytes = b"") -> Any:
    with pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(method)(request, timeout=5)
    return refusal.value


@pytest.fixture
def channel(server: EmbeddedPubSub) -> Any:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


def test_all_methods(channel: grpc.Channel) -> None:
    methods = methods_of_the_service()
    assert len(methods) >= 38
    refused = set()
    for method in methods:
        short = method.removeprefix("/google.pubsub.v1.").removeprefix("/google.iam.v1.")
        refusal = refusal_of(channel, method)
        if refusal.code() is grpc.StatusCode.UNIMPLEMENTED:
            assert f"does not support {short}." in refusal.details()
            refused.add(short)
        else:
            assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT, method
    everything = {method.removeprefix("/google.pubsub.v1.").removeprefix("/google.iam.v1.") for method in methods}
    assert everything - refused == SERVED


@pytest.mark.parametrize(
    ("method", "advice"),
    [
        ("/google.pubsub.v1.Subscriber/ModifyPushConfig", "StreamingPull"),
        ("/google.pubsub.v1.Subscriber/Seek", "publish the messages again"),
        ("/google.pubsub.v1.Subscriber/CreateSnapshot", "no snapshots"),
        ("/google.pubsub.v1.Publisher/DetachSubscription", "DeleteSubscription"),
        ("/google.pubsub.v1.SchemaService/RollbackSchema", "create it again"),
        ("/google.iam.v1.IAMPolicy/SetIamPolicy", "no access control"),
    ],
)
def test_refusals_say_what_to_do_instead(channel: grpc.Channel, method: str, advice: str) -> None:
    assert advice in refusal_of(channel, method).details()


def test_other_services_are_not_there(channel: grpc.Channel) -> None:
    assert refusal_of(channel, "/some.other.Service/Method").code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", sorted(SERVED - {"Subscriber/StreamingPull"}))
def test_a_request_that_cannot_be_parsed_is_refused(channel: grpc.Channel, method: str) -> None:
    refusal = refusal_of(channel, f"/google.pubsub.v1.{method}", b"\xff\xff\xff")
    assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_first_stream_request_that_cannot_be_parsed_is_refused(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/google.pubsub.v1.Subscriber/StreamingPull")(iter([b"\xff\xff\xff"]), timeout=5)
    with pytest.raises(grpc.RpcError) as refusal:
        next(call)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
