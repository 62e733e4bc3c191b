"""Schemas by the official clients: their revisions, and messages that fulfil them or don't."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1.types import Encoding, Schema, SchemaSettings, Topic

from tandem.emulator.server import EmbeddedPubSub

PROJECT = "projects/shop"
NAME, TOPIC, SUBSCRIPTION = (f"{PROJECT}/{kind}/orders" for kind in ("schemas", "topics", "subscriptions"))
ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "string"}, {"name": "amount", "type": ["null", "long"], "default": None}],
}
NOTED: dict[str, Any] = {
    **ORDER,
    "fields": [*ORDER["fields"], {"name": "note", "type": ["null", "string"], "default": None}],
}
AVRO = Schema.Type.AVRO


def binary(schema: dict[str, Any], **order: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), order)
    return buffer.getvalue()


class Clients:
    """The official clients, of one server."""

    def __init__(self) -> None:
        self.schemas, self.publisher = pubsub_v1.SchemaServiceClient(), pubsub_v1.PublisherClient()
        self.subscriber = pubsub_v1.SubscriberClient()

    def create(self, definition: dict[str, Any] = ORDER) -> Schema:
        schema = Schema(type_=AVRO, definition=json.dumps(definition))
        made: Schema = self.schemas.create_schema(parent=PROJECT, schema=schema, schema_id="orders")
        return made

    def topic(self, encoding: int) -> None:
        settings = SchemaSettings(schema=NAME, encoding=encoding)
        self.publisher.create_topic(request=Topic(name=TOPIC, schema_settings=settings))
        self.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)

    def publish(self, *payloads: bytes) -> None:
        raw: Any = pubsub_v1.types.PublishRequest(topic=TOPIC, messages=[{"data": data} for data in payloads])
        self.publisher._transport.publish(raw)  # without the client's own batching and retries

    def refusal(self, *payloads: bytes) -> str:
        with pytest.raises(grpc.RpcError) as refused:
            self.publish(*payloads)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        return str(refused.value.details())


@pytest.fixture
def clients(server: EmbeddedPubSub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
    made = Clients()
    yield made
    made.subscriber.close()


def test_a_schema_and_its_revisions(clients: Clients) -> None:
    first = clients.create()
    with pytest.raises(exceptions.AlreadyExists):
        clients.create()
    second = clients.schemas.commit_schema(
        name=NAME, schema=Schema(name=NAME, type_=AVRO, definition=json.dumps(NOTED))
    )
    assert first.revision_id != second.revision_id
    assert clients.schemas.get_schema(name=NAME).revision_id == second.revision_id
    assert clients.schemas.get_schema(name=f"{NAME}@{first.revision_id}").definition == json.dumps(ORDER)
    assert [each.name for each in clients.schemas.list_schemas(parent=PROJECT)] == [NAME]
    revisions = [each.revision_id for each in clients.schemas.list_schema_revisions(name=NAME)]
    assert revisions == [second.revision_id, first.revision_id]
    clients.schemas.delete_schema(name=NAME)
    with pytest.raises(exceptions.NotFound):
        clients.schemas.get_schema(name=NAME)


@pytest.mark.parametrize(
    ("encoding", "good", "bad"),
    [
        pytest.param(Encoding.BINARY, binary(ORDER, id="a", amount=1), b'{"id": "a"}', id="binary"),
        pytest.param(Encoding.BINARY, binary(ORDER, id="a", amount=1), binary(ORDER, id="a") + b"x", id="bytes-left"),
        pytest.param(Encoding.JSON, b'{"id": "a", "amount": {"long": 1}}', b'{"id": 1, "amount": null}', id="json"),
    ],
)
def test_messages_fulfil_the_topics_schema(clients: Clients, encoding: Encoding, good: bytes, bad: bytes) -> None:
    revision = clients.create().revision_id
    clients.topic(encoding)
    assert clients.refusal(good, bad).startswith(f"Message 1 doesn't fulfil schema {NAME} as {encoding.name}: ")
    clients.publish(good)
    reply = clients.subscriber.pull(subscription=SUBSCRIPTION, max_messages=10)
    (message,) = [each.message for each in reply.received_messages]
    assert message.data == good
    told = {name: message.attributes[f"googclient_schema{name}"] for name in ("name", "encoding", "revisionid")}
    assert told == {"name": NAME, "encoding": encoding.name, "revisionid": revision}


def test_a_topic_gets_a_schema_later_and_loses_it(clients: Clients) -> None:
    clients.create()
    clients.publisher.create_topic(name=TOPIC)
    clients.publish(b"anything")
    settings = SchemaSettings(schema=NAME, encoding=Encoding.BINARY)
    mask = {"paths": ["schema_settings"]}
    updated = clients.publisher.update_topic(topic=Topic(name=TOPIC, schema_settings=settings), update_mask=mask)
    assert updated.schema_settings.schema == NAME
    assert "Message 0 doesn't fulfil" in clients.refusal(b"anything")
    clients.publisher.update_topic(topic=Topic(name=TOPIC), update_mask=mask)
    clients.publish(b"anything")
    clients.publisher.update_topic(topic=Topic(name=TOPIC, schema_settings=settings), update_mask=mask)
    clients.schemas.delete_schema(name=NAME)
    assert clients.publisher.get_topic(topic=TOPIC).schema_settings.schema == "_deleted-schema_"
    assert "was deleted" in clients.refusal(binary(ORDER, id="a"))


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        pytest.param("no JSON", "is no Avro schema", id="no-json"),
        pytest.param('"string"', "is a record", id="no-record"),
        pytest.param('{"type": "record", "name": "A", "fields": [{"name": "x", "type": "y"}]}', "y", id="unknown-type"),
        pytest.param('{"type": "record", "fields": []}', "is no Avro schema", id="no-name"),
    ],
)
def test_definitions_that_are_none(clients: Clients, definition: str, why: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=why):
        clients.schemas.validate_schema(parent=PROJECT, schema=Schema(type_=AVRO, definition=definition))


def test_a_message_is_validated_without_a_topic(clients: Clients) -> None:
    clients.create()
    request = {"parent": PROJECT, "name": NAME, "encoding": Encoding.BINARY}
    clients.schemas.validate_message(request={**request, "message": binary(ORDER, id="a")})
    with pytest.raises(exceptions.InvalidArgument):
        clients.schemas.validate_message(request={**request, "message": b""})
    given = Schema(type_=AVRO, definition=json.dumps(ORDER))
    clients.schemas.validate_message(
        request={"parent": PROJECT, "schema": given, "message": binary(ORDER, id="a"), "encoding": Encoding.BINARY}
    )


def test_a_schema_that_is_not_there_has_no_topic(clients: Clients) -> None:
    with pytest.raises(exceptions.NotFound):
        clients.topic(Encoding.JSON)
