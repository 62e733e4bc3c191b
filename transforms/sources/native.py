"""Beam's own Pub/Sub read, for Dataflow only, in place of the journaled source: nothing is archived.

A bundle's messages are gathered to batches, and each batch gets a number before a shuffle makes it durable: later
retries write under the same number. All events are in generation 1.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam import coders
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.definition.loading import Definition
from tandem.schemas.messages import MESSAGE_SCHEMA, DeadLetter
from tandem.transforms.elements import DeadLetterBatch, SourceBatch
from tandem.transforms.sources.decoding import SourceReading, observe, source_readings

__all__ = ["GENERATION", "NATIVE", "DeadLetterMessages", "DecodeNative", "PubsubMessageCoder", "ReadNative"]

GENERATION: Final = 1
"""The generation of every event: there is no journal whose generations could be sealed."""
NATIVE: Final = "native"
_MOST: Final = 10_000
"""Most messages of a batch."""
_NUMBER_BITS: Final = 62

NumberedMessages = tuple[int, pa.RecordBatch]
"""A batch's number, and its messages (MESSAGE_SCHEMA)."""


class PubsubMessageCoder(coders.Coder):  # type: ignore[misc]
    """Pub/Sub's own protocol buffer; Beam's default coder would be pickle."""

    def encode(self, value: PubsubMessage) -> bytes:
        """See Coder."""
        return bytes(value._to_proto_str())

    def decode(self, encoded: bytes) -> PubsubMessage:
        """See Coder."""
        return PubsubMessage._from_proto_str(encoded)

    def is_deterministic(self) -> bool:
        """False: attributes are a map, whose order isn't fixed."""
        return False

    def to_type_hint(self) -> type:
        """See Coder."""
        return PubsubMessage  # type: ignore[no-any-return]


coders.registry.register_coder(PubsubMessage, PubsubMessageCoder)


@dataclass
class ReadNative(beam.PTransform):  # type: ignore[misc]
    """A subscription read by ReadFromPubSub, decoded. On Dataflow only.

    Dataflow acknowledges a message once the bundle that read it is committed, and removes redeliveries that come within
    ten minutes by their message id, or by the attribute `id_label`; the definition's own deduplication remains.
    """

    definitions: tuple[Definition, ...]
    run: str
    subscription: str
    """projects/PROJECT/subscriptions/NAME."""
    id_label: str | None = None

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[SourceBatch]:
        read = ReadFromPubSub(subscription=self.subscription, id_label=self.id_label, with_attributes=True)
        return begin | "Messages" >> read | "Decode" >> DecodeNative(self.definitions, self.run)


@dataclass
class DecodeNative(beam.PTransform):  # type: ignore[misc]
    """Source batches from messages (PubsubMessage), one for each batch of messages and source section."""

    definitions: tuple[Definition, ...]
    run: str

    def expand(self, messages: beam.PCollection[PubsubMessage]) -> beam.PCollection[SourceBatch]:
        decode = beam.ParDo(_Decode(source_readings(self.definitions), self.run)).with_output_types(SourceBatch)
        return (
            messages
            | "Gather" >> beam.ParDo(_Gather()).with_output_types(NumberedMessages)
            | "Number" >> beam.Reshuffle()
            | "Batches" >> decode
        )


class _Gather(beam.DoFn):  # type: ignore[misc]
    """Batches of a bundle's messages. A batch's timestamp is its earliest message's, which holds the watermark back."""

    def __init__(self) -> None:
        self._rows: list[Mapping[str, Any]] = []
        self._earliest = MAX_TIMESTAMP

    def start_bundle(self) -> None:
        self._rows, self._earliest = [], MAX_TIMESTAMP

    def process(self, message: PubsubMessage, at: Any = beam.DoFn.TimestampParam) -> Iterator[WindowedValue]:
        self._rows.append(_row(message, at))
        self._earliest = min(self._earliest, at)
        if len(self._rows) >= _MOST:
            yield from self.finish_bundle()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        rows, earliest = self._rows, self._earliest
        self.start_bundle()
        if rows:
            numbered = secrets.randbits(_NUMBER_BITS), pa.RecordBatch.from_pylist(rows, schema=MESSAGE_SCHEMA)
            yield WindowedValue(numbered, earliest, [GlobalWindow()])


def _row(message: PubsubMessage, at: Timestamp) -> dict[str, Any]:
    published = message.publish_time
    micros = at.micros if published is None else Timestamp.from_utc_datetime(published).micros
    return {
        "message_id": message.message_id or "",
        "publish_time": int(micros),
        "attributes": list((message.attributes or {}).items()),
        "data": message.data or b"",
    }


class _Decode(beam.DoFn):  # type: ignore[misc]
    def __init__(self, readings: tuple[SourceReading, ...], run: str) -> None:
        self._readings = readings
        self._position = f"{run}/{NATIVE}"

    def process(self, numbered: NumberedMessages) -> Iterator[SourceBatch]:
        number, messages = numbered
        decoded, _ = observe(self._readings, messages)
        for version, events in decoded.items():
            # No watermark: nothing is too late, as there is no batch run of a journal that would count it.
            yield SourceBatch(self._position, number, GENERATION, version, None, events, None, messages)


@dataclass
class DeadLetterMessages(beam.PTransform):  # type: ignore[misc]
    """Dead letters as messages for a topic: the original payload, with the reason in attributes.

    Attributes besides the message's own: `tandem-definition`, `tandem-reason`, `tandem-stage`, `tandem-position`
    (RUN/native/NUMBER/ROW), truncated to Pub/Sub's limits.
    """

    definition: Definition

    def expand(self, batches: beam.PCollection[DeadLetterBatch]) -> beam.PCollection[PubsubMessage]:
        wrap = beam.FlatMap(messages_of, self.definition.name).with_output_types(PubsubMessage)
        return batches | "Messages" >> wrap


def messages_of(batch: DeadLetterBatch, name: str) -> list[PubsubMessage]:
    """A message for each dead letter of a batch."""
    return [_message(batch, letter, name) for letter in batch.letters]


_VALUE_BYTES: Final = 1024
_OWN: Final = 4


def _message(batch: DeadLetterBatch, letter: DeadLetter, name: str) -> PubsubMessage:
    own = {
        "tandem-definition": name,
        "tandem-reason": letter.reason.encode()[:_VALUE_BYTES].decode(errors="ignore"),
        "tandem-stage": letter.stage,
        "tandem-position": f"{batch.position}/{batch.number}/{letter.row}",
    }
    theirs = list((letter.attributes or {}).items())[: 100 - _OWN]
    return PubsubMessage(letter.payload, {**dict(theirs), **own})
