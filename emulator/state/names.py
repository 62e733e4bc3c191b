"""Resource names: `projects/PROJECT/topics/TOPIC`, and likewise `subscriptions` and `schemas`."""

import re
import secrets
from collections.abc import Iterable

from tandem.emulator.state.errors import InvalidArgument

DELETED_TOPIC = "_deleted-topic_"
"""The topic that a subscription shows after its topic was deleted."""

_PROJECT = r"projects/[A-Za-z0-9][A-Za-z0-9\-_.:]*"
_ID = r"(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}"
_PATTERNS = {
    "project": re.compile(_PROJECT),
    "topic": re.compile(f"{_PROJECT}/topics/{_ID}"),
    "subscription": re.compile(f"{_PROJECT}/subscriptions/{_ID}"),
    "schema": re.compile(f"{_PROJECT}/schemas/{_ID}"),
}
_SHAPES = {
    "project": "A project is named projects/PROJECT.",
    "topic": "A topic is named projects/PROJECT/topics/TOPIC",
    "subscription": "A subscription is named projects/PROJECT/subscriptions/SUBSCRIPTION",
    "schema": "A schema is named projects/PROJECT/schemas/SCHEMA",
}
_RULE = ", the last part 3 to 255 letters, digits or -_.~+%, starting with a letter and not with goog."


def project_name(name: str) -> str:
    """Return `name` if it is `projects/PROJECT`; InvalidArgument otherwise."""
    return _checked("project", name)


def topic_name(name: str) -> str:
    """Return `name` if it is the full name of a topic; InvalidArgument otherwise."""
    return _checked("topic", name)


def subscription_name(name: str) -> str:
    """Return `name` if it is the full name of a subscription; InvalidArgument otherwise."""
    return _checked("subscription", name)


def schema_name(name: str) -> str:
    """Return `name` if it is the full name of a schema; InvalidArgument otherwise."""
    return _checked("schema", name)


def new_subscription_name(topic: str) -> str:
    """A random subscription name in the project of `topic`, for requests without a name."""
    project = topic.partition("/topics/")[0]
    return f"{project}/subscriptions/sub-{secrets.token_hex(8)}"


def page(names: Iterable[str], size: int, token: str) -> tuple[list[str], str]:
    """One page of `names` in alphabetical order, and the token of the next page ('' after the last).

    `size` 0 means the service's maximum (1,000). The token is the last name of the previous page.
    """
    if size < 0:
        raise InvalidArgument(f"page_size must not be negative. You passed {size}.")
    rest = sorted(name for name in names if name > token)
    shown = rest[: min(size or 1000, 1000)]
    return shown, shown[-1] if len(shown) < len(rest) else ""


def _checked(kind: str, name: str) -> str:
    if _PATTERNS[kind].fullmatch(name):
        return name
    rule = _SHAPES[kind] + ("" if kind == "project" else _RULE)
    raise InvalidArgument(f"Invalid resource name given (name={name}). {rule}")
