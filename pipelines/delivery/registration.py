"""Registers the Avro schema of a result's messages in Pub/Sub, and assigns it to their topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.api_core.exceptions import AlreadyExists, NotFound
from google.cloud.pubsub_v1 import PublisherClient, SchemaServiceClient
from google.pubsub_v1.types import Encoding, Schema, SchemaSettings, Topic

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.result_messages.avro import avro_schema

__all__ = ["avro_topics", "register_schema"]


def avro_topics(compiled: CompiledDefinition, name: str) -> list[str]:
    """The topics to which a result is sent as Avro."""
    outputs = compiled.definition.results[name].to
    return [output.pubsub for output in outputs if output.pubsub is not None and output.format == "avro"]


def register_schema(compiled: CompiledDefinition, name: str, schema: str, options: dict[str, Any]) -> Iterator[str]:
    """Create, or revise, a schema (projects/PROJECT/schemas/NAME), and assign it to the result's topics; yields a line
    for each step.

    Missing topics are created. `options`: of each call, such as its timeout. Raises GoogleAPIError.
    """
    yield f"{schema}: {_made(schema, json.dumps(avro_schema(compiled, name)), options)}"
    settings = SchemaSettings(schema=schema, encoding=Encoding.BINARY)
    for topic in avro_topics(compiled, name):
        yield f"{topic}: {_given(Topic(name=topic, schema_settings=settings), options)}"


def _made(schema: str, definition: str, options: dict[str, Any]) -> str:
    client = SchemaServiceClient()
    parent, _, short = schema.partition("/schemas/")
    wanted = Schema(name=schema, type_=Schema.Type.AVRO, definition=definition)
    try:
        client.create_schema(parent=parent, schema=wanted, schema_id=short, **options)
    except AlreadyExists:
        found = client.get_schema(name=schema, **options)
        if json.loads(found.definition) == json.loads(definition):
            return "is there already"
        return f"revision {client.commit_schema(name=schema, schema=wanted, **options).revision_id}"
    return "created"


def _given(wanted: Topic, options: dict[str, Any]) -> str:
    client = PublisherClient()
    try:
        found = client.get_topic(topic=wanted.name, **options)
    except NotFound:
        client.create_topic(request=wanted, **options)
        return "created"
    known = found.schema_settings
    if (known.schema, known.encoding) == (wanted.schema_settings.schema, wanted.schema_settings.encoding):
        return "has the schema already"
    client.update_topic(topic=wanted, update_mask={"paths": ["schema_settings"]}, **options)
    return "has the schema now"
