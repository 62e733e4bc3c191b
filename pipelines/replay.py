"""Replays dead letters of messages: publishes them to their topic again.

Each replay is noted in the view store before it is sent, and taken back only when it was certainly not sent. So none is
sent twice, whenever this process dies; a noted replay that no run reads stays open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tandem.formats.dead_letters.files import StoredLetter
from tandem.formats.dead_letters.replays import ReplayOf, without_replay
from tandem.journal.runs.manifests import load_run
from tandem.journal.storage.opening import journal_exists, open_blobs
from tandem.schemas.errors import LaunchError, TandemError, UserError
from tandem.transforms.sinks.topics import packed
from tandem.views.dead_letters.facts import LetterState, Place
from tandem.views.store import ViewStore

__all__ = ["Letter", "Replayed", "publish_letters", "topic_of", "topics"]

MAX_REQUEST_BYTES: Final = 8 << 20
MAX_REQUEST_MESSAGES: Final = 500
_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the store's facts about it, and the contents of its file."""

    state: LetterState
    stored: StoredLetter

    @property
    def place(self) -> Place:
        """Position and row."""
        return self.state.position, self.state.row

    @property
    def of_file(self) -> bool:
        """Whether the letter is a record of a file, not a message."""
        return self.state.generation < 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay."""

    sent: int = 0
    skipped: int = 0
    """Letters that another process has sent meanwhile."""
    decoded: int = 0
    """Letters of files that have become readable."""
    failed: int = 0


def topics(letters: Sequence[Letter], journal: str) -> dict[str, list[Letter]]:
    """The letters by the topic of the subscription that their run read. Raises LaunchError, JournalError."""
    by_run: dict[str, list[Letter]] = {}
    for letter in letters:
        by_run.setdefault(letter.state.position.partition("/")[0], []).append(letter)
    by_subscription: dict[str, list[Letter]] = {}
    for run, held in by_run.items():
        if not journal_exists(journal):
            raise UserError(f"there is no journal at {journal} that names the subscription; --topic names the topic")
        by_subscription.setdefault(load_run(open_blobs(journal), run).subscription, []).extend(held)
    found: dict[str, list[Letter]] = {}
    for subscription, held in by_subscription.items():
        found.setdefault(topic_of(subscription), []).extend(held)
    return found


def topic_of(subscription: str) -> str:
    """The topic of a subscription, read from Pub/Sub. Raises LaunchError."""
    from google.cloud.pubsub_v1 import SubscriberClient

    with _one_line(subscription), SubscriberClient() as client:
        topic = str(client.get_subscription(subscription=subscription, **_timeout()).topic)
    if topic == "_deleted-topic_":
        raise LaunchError(f"the topic of {subscription} was deleted; --topic names one that feeds it")
    return topic


def publish_letters(store: ViewStore, version: str, letters: Sequence[Letter], topic: str) -> Replayed:
    """Publish each letter's payload and attributes to the topic, with the attributes of a replay, once each.

    Raises LaunchError for an error of Pub/Sub; letters that were certainly not published may be replayed again.
    """
    from google.cloud.pubsub_v1 import PublisherClient

    client = PublisherClient()
    sent = skipped = 0
    try:
        with _one_line(topic):
            client.get_topic(topic=topic, **_timeout())
        for held in packed(letters, _size, MAX_REQUEST_MESSAGES, MAX_REQUEST_BYTES):
            noted = store.dead_letters.send(version, [(x.place, x.state.attempts + 1, topic) for x in held])
            fresh = [letter for letter, new in zip(held, noted, strict=True) if new]
            skipped += len(held) - len(fresh)
            if fresh:
                _publish(client, store, version, fresh, topic)
            sent += len(fresh)
    finally:
        client.stop()
    return Replayed(sent=sent, skipped=skipped)


def _publish(client: Any, store: ViewStore, version: str, letters: Sequence[Letter], topic: str) -> None:
    """Send one request without retries: a lost answer leaves open whether it was published."""
    from google.api_core.exceptions import (
        FailedPrecondition,
        InvalidArgument,
        NotFound,
        PermissionDenied,
        Unauthenticated,
    )
    from google.pubsub_v1.types import PubsubMessage

    messages = [PubsubMessage(data=x.stored.letter.payload, attributes=_attributes(x)) for x in letters]
    try:
        with _one_line(
            topic, f"; the {len(letters)} letters of this request may have been published and stay in flight"
        ):
            try:
                client.api.publish(topic=topic, messages=messages, retry=None, timeout=60)
            except (FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated) as error:
                store.dead_letters.unsend(version, [(x.place, x.state.attempts + 1) for x in letters])
                raise LaunchError(f"{topic}: {_first_line(error)}; nothing of this request was published") from None
    except KeyboardInterrupt:
        raise TandemError(f"interrupted; {len(letters)} letters may have been published and stay in flight") from None


def _attributes(letter: Letter) -> dict[str, str]:
    of = ReplayOf(
        letter.state.position,
        letter.state.row,
        letter.state.generation,
        letter.stored.letter.publish_time,
        letter.state.attempts + 1,
    )
    return {**without_replay(letter.stored.letter.attributes), **of.attributes()}


def _size(letter: Letter) -> int:
    return len(letter.stored.letter.payload) + 1024  # and its attributes, about


# Pub/Sub's clients


def _timeout() -> dict[str, Any]:
    """Time limits of a call: it waits for a server that is just starting, but not for ever."""
    from google.api_core.exceptions import ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    retry = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.2, maximum=1.0, timeout=_SECONDS)
    return {"retry": retry, "timeout": _SECONDS}


@contextmanager
def _one_line(name: str, more: str = "") -> Iterator[None]:
    """Turns the clients' errors into a LaunchError of one line."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAuthError as error:
        first = str(error).splitlines()[0]
        raise LaunchError(f"no credentials for Pub/Sub: {first}; or set PUBSUB_EMULATOR_HOST") from None
    except GoogleAPIError as error:
        raise LaunchError(f"{name}: {_first_line(error)}{more}") from None


def _first_line(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return (str(getattr(cause, "message", None) or cause).splitlines() or ["failed"])[0]
