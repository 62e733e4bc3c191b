"""Decodes a batch of messages to a batch of events, and dead letters."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.messages import parse_avro
from tandem.formats.avro.types import SourceFields, source_fields
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, joined
from tandem.formats.json.messages import parse_json
from tandem.formats.revisions import parse_revision, revisions_of
from tandem.formats.source_spec import SourceSpec
from tandem.formats.text.buffers import texts_of_array
from tandem.formats.validate import assemble
from tandem.schemas.messages import DeadLetter, Decoded

__all__ = ["MAX_MESSAGE", "decode_messages"]

MAX_MESSAGE: Final = 10 * 1024 * 1024
"""Bytes; Pub/Sub's own limit is 10 MB. A larger message is a dead letter."""


def decode_messages(source: SourceSpec, columns: tuple[str, ...], messages: pa.RecordBatch) -> Decoded:
    """Decode messages of MESSAGE_SCHEMA; `Decoded.events` has the schema of `events_schema`.

    `columns` are the fields of the source to keep; event id and event time are read whether or not they are among them.
    received = events + dead letters. No message's content raises; raises SchemaError for columns that the source
    doesn't have. A message's result never depends on the others in the batch. A message whose attributes name the
    revision of the schema that it was written with is resolved from that schema to the source's; one of an unlisted
    revision is a dead letter. One that names none was written with `default_revision`, or without it with the source's
    schema.
    """
    fields = source_fields(source)
    data = messages.column("data")
    refused = _refused(data)
    groups = revisions_of(messages.column("attributes"), source.default_revision)
    if not groups and not refused:
        parsed = _parse(fields, columns, source.format, data)
    else:
        own = np.setdiff1d(np.arange(len(data)), [row for rows in groups.values() for row in rows] + list(refused))
        parts = [(own, _parse(fields, columns, source.format, data.take(pa.array(own))))]
        for group, rows in groups.items():
            kept = np.array([row for row in rows if row not in refused], np.int64)
            parts.append(
                (kept, parse_revision(fields, columns, source.format, group, data.take(pa.array(kept)).to_pylist()))
            )
        parsed = joined(parts, refused)
    publish_times = messages.column("publish_time").to_numpy(zero_copy_only=False)

    def letter(row: int, stage: str, reason: str) -> DeadLetter:
        attributes: list[tuple[str, Any]] = messages.column("attributes")[row].as_py() or []
        return DeadLetter(
            data[row].as_py(),
            reason,
            stage,
            row,
            messages.column("message_id")[row].as_py(),
            int(publish_times[row]),
            dict(attributes),
        )

    return assemble(fields, columns, parsed, publish_times, letter)


def _parse(fields: SourceFields, columns: tuple[str, ...], encoding: str, data: pa.BinaryArray) -> Parsed:
    if encoding == "avro":
        return parse_avro(fields, columns, data)
    return parse_json(fields, columns, texts_of_array(data))


def _refused(data: pa.BinaryArray) -> dict[int, tuple[str, str]]:
    sizes = pc.binary_length(data).to_numpy(zero_copy_only=False)
    refused = dict.fromkeys(np.flatnonzero(sizes == 0).tolist(), (DECODE, "an empty message"))
    for row in np.flatnonzero(sizes > MAX_MESSAGE).tolist():
        refused[row] = (DECODE, f"{sizes[row]:,} bytes; {MAX_MESSAGE:,} are allowed")
    return refused
