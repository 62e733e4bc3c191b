"""The interface of outputs for the deliverer, and the writers of each kind. Further kinds are added to WRITERS."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tandem.pipelines.delivery.actions.prometheus_alerts import AlertmanagerWriter
from tandem.pipelines.delivery.actions.webhooks import WebhookWriter, target_of
from tandem.pipelines.delivery.encoding import Encoder
from tandem.pipelines.delivery.result_files import FileWriter
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import DeliveryError
from tandem.schemas.privacy.printable import escaped_json
from tandem.views.outbox.messages import Message

__all__ = ["WRITERS", "LogWriter", "RecordWriter", "writer_of"]


class RecordWriter(Protocol):
    """Sends messages of one output, in order."""

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Send messages, all of one start and pass together; returns once the receiver has stored them.

        Returns by ordinal the reasons why messages are refused for good. Raises DeliveryError when nothing can be sent
        now: then all are sent again, including those that were sent.
        """


@dataclass(frozen=True)
class LogWriter:
    """Writes one line of JSON a message on standard output."""

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        for message in messages:
            sys.stdout.write(f"{escaped_json(message.payload)}\n")
        sys.stdout.flush()
        return {}


MakeWriter = Callable[[str, CompiledDefinition], RecordWriter]


def _files(form: str) -> MakeWriter:
    return lambda place, compiled: FileWriter(place, Encoder(form, compiled))


def _topic(form: str) -> MakeWriter:
    def make(place: str, compiled: CompiledDefinition) -> RecordWriter:
        from tandem.pipelines.delivery.result_topics import TopicResults  # it imports gRPC

        return TopicResults(place, Encoder(form, compiled))

    return make


def _table(place: str, compiled: CompiledDefinition) -> RecordWriter:
    try:
        from tandem.pipelines.delivery.result_tables import TableResults
    except ModuleNotFoundError as error:
        raise DeliveryError(f"{error.name} isn't installed: pip install 'tandem-beam[gcp]'") from error

    return TableResults(place, Encoder("rows", compiled))


def _webhook(place: str, compiled: CompiledDefinition) -> RecordWriter:
    return WebhookWriter(target_of(compiled, f"webhook {place}"))


def _alertmanager(place: str, compiled: CompiledDefinition) -> RecordWriter:
    return AlertmanagerWriter(target_of(compiled, f"alertmanager {place}"))


WRITERS: Final[dict[str, MakeWriter]] = {
    "log": lambda place, compiled: LogWriter(),
    "files": _files("json"),
    "files-avro": _files("avro"),
    "files-parquet": _files("parquet"),
    "pubsub": _topic("json"),
    "pubsub-avro": _topic("avro"),
    "bigquery": _table,
    "webhook": _webhook,
    "alertmanager": _alertmanager,
}
"""By the kind of an output the function that makes its writer, from the output's place and the delivered definition."""


def writer_of(label: str, compiled: CompiledDefinition) -> RecordWriter:
    """The writer of an output by its label (see `Output.label`)."""
    kind, _, place = label.partition(" ")
    return WRITERS[kind](place, compiled)
