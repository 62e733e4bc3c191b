"""The methods of `google.pubsub.v1.SchemaService`, for Avro: serialized requests in, serialized responses out."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from tandem.emulator.state.errors import InvalidArgument, Unsupported
from tandem.emulator.state.names import page, project_name, schema_name
from tandem.emulator.state.schemas import JSON, Fitting, Revision, Schemas, first_problem, parse

_Schema: Any = types.Schema.pb()
_CreateSchemaRequest: Any = types.CreateSchemaRequest.pb()
_CommitSchemaRequest: Any = types.CommitSchemaRequest.pb()
_GetSchemaRequest: Any = types.GetSchemaRequest.pb()
_ListSchemasRequest: Any = types.ListSchemasRequest.pb()
_ListSchemasResponse: Any = types.ListSchemasResponse.pb()
_ListSchemaRevisionsRequest: Any = types.ListSchemaRevisionsRequest.pb()
_ListSchemaRevisionsResponse: Any = types.ListSchemaRevisionsResponse.pb()
_DeleteSchemaRequest: Any = types.DeleteSchemaRequest.pb()
_ValidateSchemaRequest: Any = types.ValidateSchemaRequest.pb()
_ValidateSchemaResponse: Any = types.ValidateSchemaResponse.pb()
_ValidateMessageRequest: Any = types.ValidateMessageRequest.pb()
_ValidateMessageResponse: Any = types.ValidateMessageResponse.pb()


class SchemaService:
    """The schemas of one server. The call's context isn't used."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def create_schema(self, request: bytes, context: Any) -> bytes:
        """`CreateSchemaRequest` to `Schema`."""
        parsed = _CreateSchemaRequest.FromString(request)
        name = schema_name(f"{project_name(parsed.parent)}/schemas/{parsed.schema_id}")
        return _written(self._schemas.create(name, _definition(parsed.schema)))

    def commit_schema(self, request: bytes, context: Any) -> bytes:
        """`CommitSchemaRequest` to `Schema`."""
        parsed = _CommitSchemaRequest.FromString(request)
        return _written(self._schemas.commit(schema_name(parsed.name), _definition(parsed.schema)))

    def get_schema(self, request: bytes, context: Any) -> bytes:
        """`GetSchemaRequest` to `Schema`."""
        parsed = _GetSchemaRequest.FromString(request)
        schema_name(parsed.name.partition("@")[0])
        return _written(self._schemas.revision(parsed.name))

    def list_schemas(self, request: bytes, context: Any) -> bytes:
        """`ListSchemasRequest` to `ListSchemasResponse`, by name."""
        parsed = _ListSchemasRequest.FromString(request)
        prefix = project_name(parsed.parent) + "/"
        names = [name for name in self._schemas.names() if name.startswith(prefix)]
        shown, token = page(names, parsed.page_size, parsed.page_token)
        listed = [_schema(self._schemas.revision(name)) for name in shown]
        return _serialized(_ListSchemasResponse(schemas=listed, next_page_token=token))

    def list_schema_revisions(self, request: bytes, context: Any) -> bytes:
        """`ListSchemaRevisionsRequest` to `ListSchemaRevisionsResponse`, the newest first, all of them."""
        parsed = _ListSchemaRevisionsRequest.FromString(request)
        revisions = self._schemas.revisions(schema_name(parsed.name))
        return _serialized(_ListSchemaRevisionsResponse(schemas=[_schema(each) for each in revisions]))

    def delete_schema(self, request: bytes, context: Any) -> bytes:
        """`DeleteSchemaRequest` to `Empty`."""
        self._schemas.delete(schema_name(_DeleteSchemaRequest.FromString(request).name))
        return _serialized(Empty())

    def validate_schema(self, request: bytes, context: Any) -> bytes:
        """`ValidateSchemaRequest` to `ValidateSchemaResponse`."""
        parse(_definition(_ValidateSchemaRequest.FromString(request).schema))
        return _serialized(_ValidateSchemaResponse())

    def validate_message(self, request: bytes, context: Any) -> bytes:
        """`ValidateMessageRequest` to `ValidateMessageResponse`."""
        parsed = _ValidateMessageRequest.FromString(request)
        encoding = encoding_name(parsed.encoding)
        if parsed.name:
            fitting = self._schemas.fitting(schema_name(parsed.name), encoding)
        else:
            definition = _definition(parsed.schema)
            fitting = Fitting(Revision("given", "", definition, 0), encoding, parse(definition))
        problem = first_problem(fitting, [parsed.message])
        if problem is not None:
            raise InvalidArgument(problem)
        return _serialized(_ValidateMessageResponse())


def encoding_name(encoding: int) -> str:
    """JSON or BINARY. InvalidArgument for an unspecified encoding."""
    name: str = types.Encoding(encoding).name
    if name == "ENCODING_UNSPECIFIED":
        raise InvalidArgument(f"An encoding is {JSON} or BINARY; none was given.")
    return name


def _definition(schema: Any) -> str:
    if schema.type_ == types.Schema.Type.PROTOCOL_BUFFER:
        raise Unsupported("The embedded Pub/Sub has schemas of Avro alone.")
    if schema.type_ != types.Schema.Type.AVRO:
        raise InvalidArgument("A schema has a type, AVRO or PROTOCOL_BUFFER; none was given.")
    definition: str = schema.definition
    return definition


def _schema(revision: Revision) -> Any:
    schema = _Schema(name=revision.name, type_=types.Schema.Type.AVRO, definition=revision.definition)
    schema.revision_id = revision.id
    schema.revision_create_time.seconds = revision.created_seconds
    return schema


def _written(revision: Revision) -> bytes:
    return _serialized(_schema(revision))


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
