"""What an output of results is to the deliverer. Others are added by `WRITERS`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tandem.pipelines.delivery.result_files import FileWriter
from tandem.views.results.outbox import Message

__all__ = ["WRITERS", "LogWriter", "ResultWriter", "writer_of"]


class ResultWriter(Protocol):
    """Sends messages of one output, in order."""

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Send messages, all of a window and pass together; returns when the receiver has them for good.

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


def _topic(place: str) -> ResultWriter:
    from tandem.pipelines.delivery.result_topics import TopicResults  # it loads Beam and gRPC

    return TopicResults(place)


WRITERS: Final[dict[str, Callable[[str], ResultWriter]]] = {
    "log": lambda _: LogWriter(),
    "files": FileWriter,
    "pubsub": _topic,
}
"""By the kind of an output what makes its writer of the output's place."""


def writer_of(label: str) -> ResultWriter:
    """The writer of an output by its label (see `Output.label`)."""
    kind, _, place = label.partition(" ")
    return WRITERS[kind](place)
