"""The errors of the state machine, one class for each gRPC status."""


class PubSubError(Exception):
    """The base of every error. Its text is sent to the client unchanged."""


class InvalidArgument(PubSubError):
    """The request breaks a rule of the service, whatever the state is."""


class NotFound(PubSubError):
    """The topic or subscription named in the request does not exist."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"Resource not found (resource={resource}).")


class AlreadyExists(PubSubError):
    """The topic or subscription to create is already there."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"Resource already exists in the project (resource={resource}).")


class Unsupported(PubSubError):
    """The real service does this, the embedded one does not."""


class ResourceExhausted(PubSubError):
    """A limit of this server is reached: its backlog or its number of streams."""


class Closed(PubSubError):
    """The server is stopping; a client may try again later."""
