"""`tandem pubsub`: topics and subscriptions by the official clients, in the emulator or in Pub/Sub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from tandem.pipelines.console.printing import say
from tandem.schemas.errors import UserError
from tandem.schemas.pubsub_names import resource_name

__all__ = ["check_name", "create_subscription", "create_topic", "once_there", "pubsub_errors"]

_SECONDS: Final = 20.0
_EMULATOR: Final = "PUBSUB_EMULATOR_HOST"


def create_topic(
    name: Annotated[str, typer.Argument(metavar="TOPIC", help="projects/PROJECT/topics/NAME")],
) -> None:
    """Create a topic; one that is there already is left as it is."""
    from google.api_core.exceptions import AlreadyExists

    check_name(name, "topics")
    with pubsub_errors(name):
        try:
            _publisher().create_topic(name=name, **once_there())
        except AlreadyExists:
            say(f"{name} is there already")
        else:
            say(f"created {name}")


def create_subscription(
    name: Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="projects/PROJECT/subscriptions/NAME")],
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="projects/PROJECT/topics/NAME")],
    ack_deadline: Annotated[
        int, typer.Option(min=10, max=600, metavar="SECONDS", help="how long a message is leased")
    ] = 10,
) -> None:
    """Create a subscription; it gets what is published from then on. One that is there must be the same."""
    from google.api_core.exceptions import AlreadyExists, NotFound

    check_name(name, "subscriptions")
    check_name(topic, "topics")
    with pubsub_errors(name):
        client = _subscriber()
        try:
            client.create_subscription(
                request={"name": name, "topic": topic, "ack_deadline_seconds": ack_deadline}, **once_there()
            )
        except NotFound:
            raise UserError(
                f"{topic} doesn't exist {_where()}; `tandem pubsub create-topic {topic}` makes it"
            ) from None
        except AlreadyExists:
            _check_same(client.get_subscription(subscription=name, **once_there()), topic, ack_deadline)
            say(f"{name} is there already")
        else:
            say(f"created {name}")


def check_name(name: str, kind: str) -> None:
    """Raise UserError for a text that is no name of Pub/Sub's `kind`, as "topics"."""
    try:
        resource_name(name, kind)
    except ValueError as error:
        raise UserError(str(error)) from None


def _check_same(found: Any, topic: str, ack_deadline: int) -> None:
    for what, there, wanted in (
        ("topic", found.topic, topic),
        ("acknowledge deadline", found.ack_deadline_seconds, ack_deadline),
    ):
        if there != wanted:
            raise UserError(f"{found.name} is there already with {what} {there}, not {wanted}")


def _publisher() -> Any:
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()


def _subscriber() -> Any:
    from google.cloud.pubsub_v1 import SubscriberClient

    return SubscriberClient()


def once_there() -> dict[str, Any]:
    """Settings of calls that wait for a server that is starting, up to 20 seconds."""
    from google.api_core.exceptions import ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    retry = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.2, maximum=1.0, timeout=_SECONDS)
    return {"retry": retry, "timeout": _SECONDS}


def _where() -> str:
    emulator = os.environ.get(_EMULATOR)
    return f"on the emulator at {emulator}" if emulator else "in Pub/Sub"


@contextmanager
def pubsub_errors(name: str) -> Iterator[None]:
    """Raise errors of the clients as a UserError of one line."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAuthError as error:
        raise UserError(f"no credentials for Pub/Sub: {str(error).splitlines()[0]}; or set {_EMULATOR}") from None
    except GoogleAPIError as error:
        cause = getattr(error, "cause", None) or error
        text = (str(getattr(cause, "message", None) or cause).splitlines() or ["failed"])[0]
        raise UserError(f"{name} {_where()}: {text}") from None
