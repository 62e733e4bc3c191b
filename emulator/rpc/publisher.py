"""The methods of `google.pubsub.v1.Publisher`: serialized requests in, serialized responses out."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from tandem.emulator.rpc.resources import read_topic, write_topic
from tandem.emulator.state.broker import Broker, TopicConfig
from tandem.emulator.state.errors import InvalidArgument, NotFound, Unsupported
from tandem.emulator.state.messages import read_publication
from tandem.emulator.state.names import page, project_name, topic_name
from tandem.emulator.state.schemas import DELETED_SCHEMA, Schemas, first_problem

_Topic: Any = types.Topic.pb()
_GetTopicRequest: Any = types.GetTopicRequest.pb()
_DeleteTopicRequest: Any = types.DeleteTopicRequest.pb()
_ListTopicsRequest: Any = types.ListTopicsRequest.pb()
_ListTopicsResponse: Any = types.ListTopicsResponse.pb()
_ListTopicSubscriptionsRequest: Any = types.ListTopicSubscriptionsRequest.pb()
_ListTopicSubscriptionsResponse: Any = types.ListTopicSubscriptionsResponse.pb()
_PublishResponse: Any = types.PublishResponse.pb()
_PubsubMessage: Any = types.PubsubMessage.pb()
_UpdateTopicRequest: Any = types.UpdateTopicRequest.pb()
_UPDATED = {"labels", "schema_settings"}


class PublisherService:
    """The publishing side of `broker`, whose topics may have `schemas`. The call's context isn't used."""

    def __init__(self, broker: Broker, schemas: Schemas) -> None:
        self._broker, self._schemas = broker, schemas

    def create_topic(self, request: bytes, context: Any) -> bytes:
        """`Topic` in and out."""
        config = read_topic(_Topic.FromString(request))
        if config.schema:
            self._schemas.revision(config.schema)
        self._broker.create_topic(config)
        return self._shown(config)

    def update_topic(self, request: bytes, context: Any) -> bytes:
        """`UpdateTopicRequest` to `Topic`; labels and schema settings alone."""
        parsed = _UpdateTopicRequest.FromString(request)
        paths = set(parsed.update_mask.paths)
        if not paths:
            raise InvalidArgument("The update_mask must name what is to be changed.")
        if not paths <= _UPDATED:
            other = ", ".join(sorted(paths - _UPDATED))
            raise Unsupported(f"The embedded Pub/Sub changes labels and schema_settings of a topic, not {other}.")
        known = write_topic(self._broker.topic(topic_name(parsed.topic.name)))
        for path in paths:
            known.ClearField(path)
            if path == "labels":
                known.labels.update(parsed.topic.labels)
            elif parsed.topic.HasField(path):
                known.schema_settings.CopyFrom(parsed.topic.schema_settings)
        config = read_topic(known)
        if config.schema:
            self._schemas.revision(config.schema)
        self._broker.update_topic(config)
        return self._shown(config)

    def _shown(self, config: TopicConfig) -> bytes:
        topic = write_topic(config)
        if config.schema and config.schema not in self._schemas.names():
            topic.schema_settings.schema = DELETED_SCHEMA
        return _serialized(topic)

    def get_topic(self, request: bytes, context: Any) -> bytes:
        """`GetTopicRequest` to `Topic`."""
        name = topic_name(_GetTopicRequest.FromString(request).topic)
        return self._shown(self._broker.topic(name))

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
        messages = self._checked(self._broker.topic(publication.topic), publication.messages)
        ids = self._broker.publish(publication.topic, messages, publication.ordering_keys)
        return _serialized(_PublishResponse(message_ids=ids))

    def _checked(self, config: TopicConfig, messages: list[bytes]) -> list[bytes]:
        """The messages; for a topic with a schema, with attributes that name it. Raises InvalidArgument."""
        if not config.schema:
            return messages
        try:
            fitting = self._schemas.fitting(config.schema, config.encoding)
        except NotFound:
            raise InvalidArgument(f"The schema of {config.name}, {config.schema}, was deleted.") from None
        problem = first_problem(fitting, [_PubsubMessage.FromString(raw).data for raw in messages])
        if problem is not None:
            raise InvalidArgument(problem)
        of = {
            "schemaname": config.schema,
            "schemaencoding": config.encoding,
            "schemarevisionid": fitting.revision.id,
        }
        more = _PubsubMessage(attributes={f"googclient_{name}": value for name, value in of.items()})
        return [raw + more.SerializeToString() for raw in messages]  # what is serialized in parts is one message


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
