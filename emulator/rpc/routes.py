"""Maps methods of services to their handlers; unsupported ones are refused by name."""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from tandem.emulator.rpc.publisher import PublisherService
from tandem.emulator.rpc.schema_service import SchemaService
from tandem.emulator.rpc.streaming import StreamingService
from tandem.emulator.rpc.subscriber import SubscriberService
from tandem.emulator.state import errors

_SERVICES = ("/google.pubsub.v1.", "/google.iam.v1.IAMPolicy/")

_CODES: dict[type[errors.PubSubError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Closed: grpc.StatusCode.UNAVAILABLE,
}

_NO_SNAPSHOTS = "Nothing is kept after it was acknowledged, so there are no snapshots; publish the messages again."
_FEW_SCHEMAS = "Delete the schema and create it again."
_INSTEAD = {
    "Publisher/ListTopicSnapshots": _NO_SNAPSHOTS,
    "Publisher/DetachSubscription": "Use DeleteSubscription.",
    "Subscriber/UpdateSubscription": "Delete the subscription and create it again; what it holds is lost.",
    "Subscriber/ModifyPushConfig": "There is no push delivery; use Pull or StreamingPull.",
    "Subscriber/Seek": "Nothing is kept after it was acknowledged; publish the messages again.",
}
_INSTEAD_BY_WORD = {
    "Snapshot": _NO_SNAPSHOTS,
    "SchemaService/": _FEW_SCHEMAS,
    "IAMPolicy/": "There is no access control here: everybody may do everything.",
}


def _unary(
    publisher: PublisherService, subscriber: SubscriberService, schemas: SchemaService
) -> dict[str, Callable[[bytes, Any], bytes]]:
    """The handler of each unary method."""
    return {
        "SchemaService/CreateSchema": schemas.create_schema,
        "SchemaService/CommitSchema": schemas.commit_schema,
        "SchemaService/GetSchema": schemas.get_schema,
        "SchemaService/ListSchemas": schemas.list_schemas,
        "SchemaService/ListSchemaRevisions": schemas.list_schema_revisions,
        "SchemaService/DeleteSchema": schemas.delete_schema,
        "SchemaService/ValidateSchema": schemas.validate_schema,
        "SchemaService/ValidateMessage": schemas.validate_message,
        "Publisher/CreateTopic": publisher.create_topic,
        "Publisher/UpdateTopic": publisher.update_topic,
        "Publisher/GetTopic": publisher.get_topic,
        "Publisher/ListTopics": publisher.list_topics,
        "Publisher/ListTopicSubscriptions": publisher.list_topic_subscriptions,
        "Publisher/DeleteTopic": publisher.delete_topic,
        "Publisher/Publish": publisher.publish,
        "Subscriber/CreateSubscription": subscriber.create_subscription,
        "Subscriber/GetSubscription": subscriber.get_subscription,
        "Subscriber/ListSubscriptions": subscriber.list_subscriptions,
        "Subscriber/DeleteSubscription": subscriber.delete_subscription,
        "Subscriber/Pull": subscriber.pull,
        "Subscriber/Acknowledge": subscriber.acknowledge,
        "Subscriber/ModifyAckDeadline": subscriber.modify_ack_deadline,
    }


class Routes:
    """The generic handler of a gRPC server: finds the handler of a method by its full name."""

    def __init__(
        self,
        publisher: PublisherService,
        subscriber: SubscriberService,
        streaming: StreamingService,
        schemas: SchemaService,
    ) -> None:
        unary = _unary(publisher, subscriber, schemas)
        self._handlers = {
            f"/google.pubsub.v1.{method}": grpc.unary_unary_rpc_method_handler(_answering(answer))
            for method, answer in unary.items()
        }
        self._handlers["/google.pubsub.v1.Subscriber/StreamingPull"] = grpc.stream_stream_rpc_method_handler(
            _streaming(streaming.streaming_pull)
        )

    def service(self, details: Any) -> Any:
        """The handler for a call, or None for a service that Pub/Sub does not have. Called by gRPC."""
        method: str = details.method
        if method in self._handlers:
            return self._handlers[method]
        return grpc.stream_stream_rpc_method_handler(_refusing(method)) if method.startswith(_SERVICES) else None


def _answering(answer: Callable[[bytes, Any], bytes]) -> Callable[[bytes, Any], bytes]:
    def handle(request: bytes, context: Any) -> bytes:
        try:
            return answer(request, context)
        except errors.PubSubError as refusal:
            _abort(context, refusal)
        except DecodeError as error:
            _abort(context, errors.InvalidArgument(f"The request cannot be parsed: {error}"))

    return handle


def _streaming(
    answer: Callable[[Iterator[bytes], Any], Iterator[bytes]],
) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
    def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        try:
            yield from answer(requests, context)
        except errors.PubSubError as refusal:
            _abort(context, refusal)

    return handle


def _refusing(method: str) -> Callable[[Iterator[bytes], Any], NoReturn]:
    """The handler that refuses a method; a stream handler serves unary calls as well, which are streams of one
    message.
    """
    short = method.removeprefix("/google.pubsub.v1.").removeprefix("/google.iam.v1.")
    by_word = next((text for word, text in _INSTEAD_BY_WORD.items() if word in short), "")
    advice = _INSTEAD.get(short, by_word)

    def handle(requests: Iterator[bytes], context: Any) -> NoReturn:
        _abort(context, errors.Unsupported(f"The embedded Pub/Sub does not support {short}. {advice}".rstrip()))

    return handle


def _abort(context: Any, refusal: errors.PubSubError) -> NoReturn:
    context.abort(_CODES[type(refusal)], str(refusal))
    raise AssertionError("abort raises")
