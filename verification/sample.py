"""Samples events from data files or from a journal, as payloads of messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.types import source_fields
from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.messages import decode_messages
from tandem.formats.writing import encode_messages
from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import RUNS
from tandem.schemas.columns import KEY, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition, Source
from tandem.schemas.errors import SchemaError, SourceFileError

__all__ = ["Sample", "read_sample"]

_MOST_RECORDS: Final = 500_000
"""Most records that are read, from the first on."""
_PIECE_BYTES: Final = 64 << 20
_DEAD_SHARE: Final = 20
"""One payload in this many may be a record that can't be decoded."""
_VARIED_SHARE: Final = 5
"""One event in this many is repeated with other numbers."""
_AHEAD_SHARE: Final = 30
"""One event in this many is repeated with a time beyond its tile's lateness."""
_UNITS: Final = {"ms": 1_000, "us": 1}
_FILTERED_SHARE: Final = 10
"""One in this many may be an event that the definition filters."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Messages to verify with."""

    payloads: tuple[bytes, ...]
    events: int
    """Number of events among them that the definition counts."""
    found: int
    """Number of records that were read."""


@dataclass(frozen=True, slots=True)
class _Records:
    """Records of one read; a row of `events` is encoded again by its index in `table` or taken from `raw`."""

    events: pa.RecordBatch
    raw: list[bytes] | None
    dead: list[bytes]


def read_sample(definition: Definition, places: Sequence[str], limit: int, random: Random) -> Sample:
    """At most `limit` records, chosen so that keys and tiles have several events each.

    Some that the definition filters and some that can't be decoded are among them, where there are any. One event in
    five is repeated with other numbers in its float fields, one in thirty with a later time. Events ahead of their time
    are accepted.

    Args:
        definition: that the events are for; messages have its source's format.
        places: files or globs, see `formats.files.listing.expand`, or one folder of a journal (or one above it).
        limit: the most messages in the sample, not counting repeated ones.
        random: decides all choices.

    Raises SourceFileError without readable input, or without a record that can be decoded, and SchemaError.
    """
    source = definition.source.model_copy(update={"max_ahead": None})
    compiled = compile_definition(definition)
    journal = _journal_of(places)
    records = list(_of_journal(source, journal) if journal is not None else _of_files(source, places))
    dead = [payload for part in records for payload in part.dead]
    found = sum(part.events.num_rows for part in records) + len(dead)
    shown = ", ".join(places)
    if not found:
        raise SourceFileError(f"{shown}: holds no record; a sample needs at least one event")
    if found == len(dead):
        raise SourceFileError(f"{shown}: none of {found} records can be decoded as {definition.source.format}")
    chosen, counted = _choose(compiled, records, max(limit - min(len(dead), limit // _DEAD_SHARE), 1), random)
    if not counted:
        raise SourceFileError(f"{shown}: the definition counts none of {found} records: it filters all, or they fail")
    payloads = _payloads(compiled, source, records, chosen, random)
    payloads += random.sample(dead, min(len(dead), limit // _DEAD_SHARE))
    return Sample(tuple(payloads), counted, found)


def _journal_of(places: Sequence[str]) -> str | None:
    if len(places) != 1 or "://" in places[0] or not Path(places[0]).is_dir():
        return None
    for folder in (Path(places[0]), Path(places[0]) / "journal"):
        if (folder / RUNS).is_dir():
            return str(folder)
    return None


def _of_journal(source: Source, folder: str) -> Iterator[_Records]:
    blobs = LocalBlobs(folder)
    index = JournalIndex(blobs)
    index.refresh()
    found = 0
    for ref in index.segments():
        messages = read_segment(blobs, ref).messages
        decoded = decode_messages(source, tuple(source_fields(source).usable), messages)
        payloads: list[bytes] = messages.column("data").to_pylist()
        raw = [payloads[row] for row in decoded.rows.tolist()]
        yield _Records(decoded.events, raw, [letter.payload for letter in decoded.dead])
        found += len(payloads)
        if found >= _MOST_RECORDS:
            return


def _of_files(source: Source, places: Sequence[str]) -> Iterator[_Records]:
    found, columns = 0, tuple(source_fields(source).usable)
    for ref in expand(places):
        for piece in split(ref, _PIECE_BYTES, source):
            for decoded in read_piece(source, columns, piece, 0):
                yield _Records(_writable(source, decoded.events), None, [letter.payload for letter in decoded.dead])
                found += decoded.received
                if found >= _MOST_RECORDS:
                    return


def _writable(source: Source, events: pa.RecordBatch) -> pa.RecordBatch:
    """The records without those that JSON messages can't hold, which have NaN or an infinity."""
    if source.format != "json":
        return events
    for name, column in zip(events.schema.names, events.columns, strict=True):
        if pa.types.is_floating(column.type):
            events = events.filter(pc.fill_null(pc.is_finite(events.column(name)), True))
    return events


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """The place of a counted event: sorted by key, then time."""

    key: str
    time: int
    part: int
    row: int


def _choose(
    compiled: CompiledDefinition, records: Sequence[_Records], limit: int, random: Random
) -> tuple[list[tuple[int, int]], int]:
    """((part, row) of each chosen record, number of counted ones): runs of adjacent events of one key."""
    counted, filtered = list[_Place](), list[tuple[int, int]]()
    for part, read in enumerate(records):
        prepared = compiled.prepare(read.events)
        keys, times = prepared.events.column(KEY).to_pylist(), prepared.events.column(TIME).to_pylist()
        rows = prepared.rows.tolist()
        counted += [_Place(key, time, part, row) for key, time, row in zip(keys, times, rows, strict=True)]
        if len(rows) < read.events.num_rows:
            filtered += [(part, row) for row in sorted(set(range(read.events.num_rows)) - set(rows))]
    counted.sort()
    others = random.sample(filtered, min(len(filtered), limit // _FILTERED_SHARE))
    wanted = min(limit - len(others), len(counted))
    taken: set[int] = set()
    stretch = max(wanted // 6, 4)
    while len(taken) < wanted:
        first = random.randrange(len(counted))
        for at in range(first, min(first + stretch, len(counted))):
            if counted[at].key == counted[first].key and len(taken) < wanted:
                taken.add(at)
    return [(counted[at].part, counted[at].row) for at in sorted(taken)] + others, len(taken)


def _payloads(
    compiled: CompiledDefinition,
    source: Source,
    records: Sequence[_Records],
    chosen: Sequence[tuple[int, int]],
    random: Random,
) -> list[bytes]:
    """The payload of each chosen record, some followed by one of the same event with other numbers."""
    payloads: list[bytes] = []
    for part, read in enumerate(records):
        rows = [row for other, row in chosen if other == part]
        if not rows:
            continue
        events = read.events.take(pa.array(rows))
        raw = [read.raw[row] for row in rows] if read.raw is not None else _encoded(source, events)
        varied, ahead = _varied(compiled, source, events, random), _ahead(compiled, source, events, random)
        for index, payload in enumerate(raw):
            payloads += [payload, *(made[index] for made in (varied, ahead) if index in made)]
    return payloads


def _ahead(compiled: CompiledDefinition, source: Source, events: pa.RecordBatch, random: Random) -> dict[int, bytes]:
    """By row the event repeated so much later that the watermark leaves all others behind: they may be late then."""
    definition, place = compiled.definition, events.schema.get_field_index(source.event_time)
    rows = sorted(random.sample(range(events.num_rows), max(events.num_rows // _AHEAD_SHARE, 1)))
    batch = events.take(pa.array(rows))
    kind = batch.column(place).type
    unit = _UNITS[kind.unit] if pa.types.is_timestamp(kind) else 1
    step = (definition.tile * 2 + definition.lateness + source.out_of_orderness) // unit + 1
    times = pc.add(batch.column(place).cast(pa.int64()), step).cast(kind)
    try:
        return dict(zip(rows, _encoded(source, batch.set_column(place, batch.schema.field(place), times)), strict=True))
    except SchemaError:
        return {}  # as in `_varied`


def _varied(compiled: CompiledDefinition, source: Source, events: pa.RecordBatch, random: Random) -> dict[int, bytes]:
    """By row the event with other numbers where the definition reads any. A conflict: equal ids, and both count.

    Whole numbers of similar size would hide that floats are added in an order that matters.
    """
    rows = sorted(random.sample(range(events.num_rows), max(events.num_rows // _VARIED_SHARE, 1)))
    batch, changed = events.take(pa.array(rows)), False
    fixed = {*compiled.definition.key, *source.event_id, source.event_time}
    for field in batch.schema:
        if field.name in fixed or field.name not in compiled.source_columns or not pa.types.is_floating(field.type):
            continue
        values = [_other(value, field.nullable, random) for value in batch.column(field.name).to_pylist()]
        place = batch.schema.get_field_index(field.name)
        batch, changed = batch.set_column(place, field, pa.array(values, field.type)), True
    if not changed:
        return {}
    try:
        return dict(zip(rows, _encoded(source, batch), strict=True))
    except SchemaError:
        return {}  # from a journal: records with fields that can't be encoded from columns


def _other(value: float | None, nullable: bool, random: Random) -> float | None:
    value = value if value is not None else 1.0
    chosen = random.choice([0.1, 1e16, -1e16, 1e-9, -value, value * 1.1, value])
    return None if nullable and random.random() < 0.2 else chosen


def _encoded(source: Source, events: pa.RecordBatch) -> list[bytes]:
    return encode_messages(source, pa.Table.from_batches([events]))
