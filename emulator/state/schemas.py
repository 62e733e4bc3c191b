"""Schemas of messages, their revisions, and the checks of messages against them; Avro alone, independent of gRPC."""

import io
import json
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import fastavro
from fastavro.validation import validate

from tandem.emulator.state.errors import AlreadyExists, InvalidArgument, NotFound

DELETED_SCHEMA = "_deleted-schema_"
"""The schema that a topic shows after its schema was deleted."""
MAX_DEFINITION_BYTES: Final = 300_000
MAX_REVISIONS: Final = 20

JSON, BINARY = "JSON", "BINARY"


class Revision(NamedTuple):
    """One revision of a schema."""

    name: str
    id: str
    definition: str
    created_seconds: int


@dataclass(frozen=True)
class Fitting:
    """The schema that a topic checks its messages against."""

    revision: Revision
    encoding: str
    parsed: Any

    def problem(self, data: bytes) -> str | None:
        """Why a message's data don't conform to the schema, None if they do."""
        try:
            if self.encoding == BINARY:
                buffer = io.BytesIO(data)
                fastavro.schemaless_reader(buffer, self.parsed, None)
                return "bytes are left over" if buffer.read(1) else None
            (record,) = fastavro.json_reader(io.StringIO(data.decode()), self.parsed)
            validate(record, self.parsed)  # the reader takes a number for a text
        except Exception as error:  # any error of the library, since clients send these bytes
            return f"{type(error).__name__}: {error}"[:300]
        return None


class Schemas:
    """All schemas of one server. Every method is thread-safe; they raise the classes of errors.py."""

    def __init__(self, wall_clock: Callable[[], int]) -> None:
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._revisions: dict[str, list[Revision]] = {}
        self._parsed: dict[str, Any] = {}

    def create(self, name: str, definition: str) -> Revision:
        """Create a schema. AlreadyExists; InvalidArgument for an invalid definition."""
        parse(definition)
        with self._lock:
            if name in self._revisions:
                raise AlreadyExists(name)
            self._revisions[name] = [self._made(name, definition)]
            return self._revisions[name][-1]

    def commit(self, name: str, definition: str) -> Revision:
        """Add a revision, which topics use from now on. NotFound; InvalidArgument; AlreadyExists if it equals the
        newest one.
        """
        parse(definition)
        with self._lock:
            revisions = self._of(name)
            if json.loads(revisions[-1].definition) == json.loads(definition):
                raise AlreadyExists(f"{name}@{revisions[-1].id}")
            if len(revisions) == MAX_REVISIONS:
                raise InvalidArgument(f"{name} has {MAX_REVISIONS} revisions, which is the limit.")
            revisions.append(self._made(name, definition))
            return revisions[-1]

    def revision(self, name: str) -> Revision:
        """The newest revision, or for `NAME@REVISION` that one. NotFound."""
        plain, _, wanted = name.partition("@")
        with self._lock:
            found = [each for each in self._of(plain) if not wanted or each.id == wanted]
        if not found:
            raise NotFound(name)
        return found[-1]

    def revisions(self, name: str) -> list[Revision]:
        """All revisions of one schema, the newest first. NotFound."""
        with self._lock:
            return self._of(name)[::-1]

    def names(self) -> list[str]:
        """The names of all schemas."""
        with self._lock:
            return list(self._revisions)

    def delete(self, name: str) -> None:
        """Delete a schema with all its revisions. NotFound."""
        with self._lock:
            self._of(name)
            del self._revisions[name]

    def fitting(self, name: str, encoding: str) -> Fitting:
        """The schema for messages of a topic. NotFound."""
        found = self.revision(name)
        if found.id not in self._parsed:
            self._parsed[found.id] = parse(found.definition)
        return Fitting(found, encoding, self._parsed[found.id])

    def _of(self, name: str) -> list[Revision]:
        if name not in self._revisions:
            raise NotFound(name)
        return self._revisions[name]

    def _made(self, name: str, definition: str) -> Revision:
        return Revision(name, secrets.token_hex(4), definition, self._wall_clock() // 1_000_000_000)


def parse(definition: str) -> Any:
    """The Avro schema of a definition, which must be a record. InvalidArgument."""
    if len(definition.encode()) > MAX_DEFINITION_BYTES:
        raise InvalidArgument(f"The definition of a schema has {MAX_DEFINITION_BYTES} bytes at most.")
    try:
        schema = json.loads(definition)
        parsed = fastavro.parse_schema(schema)
    except (ValueError, TypeError, KeyError, fastavro.schema.SchemaParseException) as error:
        raise InvalidArgument(f"The definition is no Avro schema: {error}") from error
    except fastavro.schema.UnknownType as error:
        raise InvalidArgument(f"The definition is no Avro schema: unknown type {error.name}") from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise InvalidArgument("The definition of an Avro schema for messages is a record.")
    return parsed


def first_problem(fitting: Fitting, payloads: Sequence[bytes]) -> str | None:
    """The first message that doesn't conform to the schema, by its position, and why."""
    for position, data in enumerate(payloads):
        problem = fitting.problem(data)
        if problem is not None:
            return f"Message {position} doesn't fulfil schema {fitting.revision.name} as {fitting.encoding}: {problem}"
    return None
