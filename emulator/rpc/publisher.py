"""The methods of `google.pubsub.v1.Publisher`: serialized requests in, serialized responses out."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from tandem.emulator.rpc.resources import read_topic, write_topic
from tandem.emulator.state.broker import Broker
from tandem.emulator.state.messages import read_publication
from tandem.emulator.state.names import page, project_name, topic_name

_Topic: Any = types.Topic.pb()
_GetTopicRequest: Any = types.GetTopicRequest.pb()
_DeleteTopicRequest: Any = types.DeleteTopicRequest.pb()
_ListTopicsRequest: Any = types.ListTopicsRequest.pb()
_ListTopicsResponse: Any = types.ListTopicsResponse.pb()
_ListTopicSubscriptionsRequest: Any = types.ListTopicSubscriptionsRequest.pb()
_ListTopicSubscriptionsResponse: Any = types.ListTopicSubscriptionsResponse.pb()
_PublishResponse: Any = types.PublishResponse.pb()


class PublisherService:
    """Publishing side of `broker`. The context of the call is not used."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def create_topic(self, request: bytes, context: Any) -> bytes:
        """`Topic` in and out."""
        config = read_topic(_Topic.FromString(request))
        self._broker.create_topic(config)
        return _serialized(write_topic(config))

    def get_topic(self, request: bytes, context: Any) -> bytes:
        """`GetTopicRequest` to `Topic`."""
        name = topic_name(_GetTopicRequest.FromString(request).topic)
        return _serialized(write_topic(self._broker.topic(name)))

    def delete_topic(self, request: bytes, context: Any) -> bytes:
        """`DeleteTopicRequest` to `Empty`."""
        self._broker.delete_topic(topic_name(_DeleteTopicRequest.FromString(request).topic))
        return _serialized(Empty())

    def list_topics(self, request: bytes, context: Any) -> bytes:
        """`ListTopicsRequest` to `ListTopicsResponse`, by name."""
        parsed = _ListTopicsRequest.FromString(request)
        prefix = project_name(parsed.project) + "/"
        topics = {config.name: config for config in self._broker.topics() if config.name.startswith(prefix)}
        shown, token = page(topics, parsed.page_size, parsed.page_token)
        listed = [write_topic(topics[name]) for name in shown]
        return _serialized(_ListTopicsResponse(topics=listed, next_page_token=token))

    def list_topic_subscriptions(self, request: bytes, context: Any) -> bytes:
        """`ListTopicSubscriptionsRequest` to `ListTopicSubscriptionsResponse`, by name."""
        parsed = _ListTopicSubscriptionsRequest.FromString(request)
        names = self._broker.topic_subscriptions(topic_name(parsed.topic))
        shown, token = page(names, parsed.page_size, parsed.page_token)
        return _serialized(_ListTopicSubscriptionsResponse(subscriptions=shown, next_page_token=token))

    def publish(self, request: bytes, context: Any) -> bytes:
        """`PublishRequest` to `PublishResponse`."""
        publication = read_publication(request)
        ids = self._broker.publish(publication.topic, publication.messages, publication.ordering_keys)
        return _serialized(_PublishResponse(message_ids=ids))


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
