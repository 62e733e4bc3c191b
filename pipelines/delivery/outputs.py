"""What an output is to the deliverer. Other kinds are added to WRITERS."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tandem.pipelines.delivery.result_files import FileWriter
from tandem.views.outbox.messages import Message

__all__ = ["WRITERS", "LogWriter", "RecordWriter", "writer_of"]


class RecordWriter(Protocol):
    """Sends messages of one output, in order."""

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Send messages, all of one start and pass together; returns when the receiver has them for good.

        Returns by ordinal why messages are refused whatever is tried. Raises DeliveryError when nothing can be sent
        now: then all come again, also those that were sent.
        """


@dataclass(frozen=True)
class LogWriter:
    """One line of JSON a message on standard output."""

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        for message in messages:
            sys.stdout.write(f"{message.payload}\n")
        sys.stdout.flush()
        return {}


def _topic(place: str) -> RecordWriter:
    from tandem.pipelines.delivery.result_topics import TopicResults  # it loads Beam and gRPC

    return TopicResults(place)


WRITERS: Final[dict[str, Callable[[str], RecordWriter]]] = {
    "log": lambda _: LogWriter(),
    "files": FileWriter,
    "pubsub": _topic,
}
"""By the kind of an output what makes its writer of the output's place."""


def writer_of(label: str) -> RecordWriter:
    """The writer of an output by its label (see `Output.label`)."""
    kind, _, place = label.partition(" ")
    return WRITERS[kind](place)
