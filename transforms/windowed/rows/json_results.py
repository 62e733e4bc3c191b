"""Writes results as JSON, one a line or message, to files of JSON Lines or a topic."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.transforms.sinks.pubsub import PublishMessages
from tandem.transforms.sinks.topics import TopicWriter
from tandem.transforms.windowed.compiling import RESULT_COLUMNS
from tandem.transforms.windowed.events.elements import BadEvent, WindowedParDo, globally

__all__ = ["PublishLines", "WriteBadEvents", "WriteLines", "result_json"]


def result_json(row: beam.Row, name: str, keys: tuple[str, ...]) -> bytes:
    """A result as a JSON object: definition, key, window, timing, pane, events, results."""
    values = row.as_dict()
    return orjson.dumps(
        {
            "definition": name,
            "key": {key: values[key] for key in keys},
            "window": {"start": row.window_start, "end": row.window_end},
            "timing": row.timing,
            "pane": row.pane,
            "events": row.events,
            "results": {name: value for name, value in values.items() if name not in (*keys, *RESULT_COLUMNS)},
        },
        default=_plain,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.to_rfc3339()
    if isinstance(value, beam.Row):
        return value.as_dict()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


@dataclass
class WriteLines(beam.PTransform):  # type: ignore[misc]
    """Write lines (bytes) to files below a folder of any of Beam's file systems, one file a bundle; the output is their
    names.

    A file's name is the digest of its content, so that a retried bundle with the same lines writes the same file. Files
    appear whole.
    """

    folder: str

    def expand(self, lines: beam.PCollection[bytes]) -> beam.PCollection[str]:
        write = WindowedParDo(_Write(self.folder), Windowing(GlobalWindows()))
        return lines | "Write" >> write.with_output_types(str)


@dataclass
class WriteBadEvents(beam.PTransform):  # type: ignore[misc]
    """Write bad events to files of JSON Lines below a folder: the reason, and the event."""

    folder: str

    def expand(self, events: beam.PCollection[BadEvent]) -> beam.PCollection[str]:
        lines = events | "Json" >> beam.Map(bad_json).with_output_types(bytes)
        return lines | "Lines" >> WriteLines(self.folder)


def bad_json(event: BadEvent) -> bytes:
    """A bad event as a JSON object."""
    return orjson.dumps({"reason": event.msg, "event": event.element})


class _OfBundles(beam.DoFn):  # type: ignore[misc]
    """Collects the lines of a bundle until it ends."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def start_bundle(self) -> None:
        self._lines = []

    def process(self, line: bytes) -> None:
        self._lines.append(line)


class _Write(_OfBundles):
    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._lines:
            yield globally(write_file(self._folder, b"".join(line + b"\n" for line in self._lines)))


def write_file(folder: str, data: bytes) -> str:
    """Write a file named by its content, and return its name; an existing one is the same."""
    digest = hashlib.blake2b(data, digest_size=12).hexdigest()
    name, draft = (str(FileSystems.join(folder, f"{start}{digest}.jsonl")) for start in ("", ".draft-"))
    if FileSystems.exists(name):
        return name
    _make(folder)
    with FileSystems.create(draft, mime_type="application/x-ndjson", compression_type="uncompressed") as file:
        file.write(data)
    FileSystems.rename([draft], [name])
    return name


def _make(folder: str) -> None:
    try:
        FileSystems.mkdirs(folder)
    except OSError:  # it is there
        if not FileSystems.exists(folder):
            raise


@dataclass
class PublishLines(beam.PTransform):  # type: ignore[misc]
    """Publish lines (bytes) to a Pub/Sub topic, one message each, on any runner; the output is their number. At least
    once.
    """

    topic: TopicWriter

    def expand(self, lines: beam.PCollection[bytes]) -> beam.PCollection[int]:
        gather = WindowedParDo(_Gather(), Windowing(GlobalWindows()))
        batches = lines | "Gather" >> gather.with_output_types(tuple[list[bytes], list[int]])
        return batches | "Messages" >> PublishMessages(self.topic)


class _Gather(_OfBundles):
    """A bundle's lines as one element, so that a request holds many."""

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._lines:
            yield globally((self._lines, []))
