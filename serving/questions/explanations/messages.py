"""Finds the raw messages behind a number: decodes and filters the journal's segments again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from tandem.formats.messages import decode_messages
from tandem.journal.storage.blobs import BlobMissingError
from tandem.journal.storage.layout import segment_path
from tandem.journal.storage.opening import open_blobs
from tandem.journal.storage.segments import Segment, SegmentHeader, decode_segment
from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.errors import UserError
from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.selection.instants import time_in
from tandem.views.answers.reading.scope import read_scope
from tandem.views.batch.chain_sources import stored_tiles

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.store import ViewStore

__all__ = ["MessagePage", "Wanted", "fate_of", "messages_of"]

Place = tuple[str, int, int]
"""Lane, number of the segment, row in it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The messages to find, and the limits of a page."""

    key: str
    start: int
    end: int
    limit: int
    most_bytes: int
    after: str | None = None
    """`next` of the previous page."""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some of the messages behind a key's numbers in [start, end)."""

    messages: tuple[dict[str, Any], ...]
    next: str | None
    files: tuple[str, ...]
    """Data files with events of these tiles, of any key; their records aren't listed."""
    missing: tuple[str, ...]
    """Segments that are missing in the journal."""


def messages_of(store: ViewStore, compiled: CompiledDefinition, journal: str, wanted: Wanted) -> MessagePage:
    """The journaled messages whose events have a key (canonical) and a time in [start, end), by lane and number.

    A message is {position, message_id, publish_time, attributes, payload, event_time, event_id, generation, fate}; its
    fate is 'batch', 'live', 'late' (live left it out, and batch hasn't read it yet), or 'waiting' for a run that isn't
    served; all copies of an event are listed. Raises UserError for another query's cursor, SegmentError for damage.
    """
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        places, files = _holding(connection, scope.definition, wanted.start, wanted.end)
    first, blobs, read = _place(wanted.after), open_blobs(journal), 0
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for lane, number in places:
        if (lane, number) < first[:2]:
            continue
        if read > wanted.most_bytes:
            return MessagePage(tuple(found), _cursor((lane, number, -1)), files, tuple(missing))
        run, _, digits = lane.rpartition("/")
        path = segment_path(run, int(digits), number)
        try:
            data = blobs.read(path)
        except BlobMissingError:
            missing.append(path)
            continue
        read += len(data)
        after = first[2] if (lane, number) == first[:2] else -1
        segment = decode_segment(path, data)
        for row, message in _messages(compiled, segment, wanted, after, (scope.boundary, scope.live_run)):
            if len(found) == wanted.limit:
                return MessagePage(tuple(found), _cursor((lane, number, row - 1)), files, tuple(missing))
            found.append(message)
    return MessagePage(tuple(found), None, files, tuple(missing))


def _holding(
    connection: sa.Connection, definition: int, start: int, end: int
) -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """(segments, files) that hold an event of the tiles in [start, end), in the order of both."""
    segments, files = list[tuple[str, int]](), dict[str, None]()
    for position, number, tiles in stored_tiles(connection, definition):
        if not any(start <= tile < end for tile in tiles):
            continue
        if _is_lane(position):
            segments.append((position, number))
        else:
            files[position] = None
    return segments, tuple(files)


def _is_lane(position: str) -> bool:
    """Whether a position is RUN/LANE; a file's is a path, or has a scheme."""
    run, _, lane = position.rpartition("/")
    return bool(run) and "/" not in run and len(lane) == 4 and lane.isdecimal()


def _messages(
    compiled: CompiledDefinition, segment: Segment, wanted: Wanted, after: int, served: tuple[int, str | None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, message) of matching messages, after a row."""
    definition = compiled.definition
    decoded = decode_messages(definition.source, compiled.source_columns, segment.messages)
    prepared = compiled.prepare(decoded.events)
    events, times = prepared.events, prepared.events.column(TIME).to_numpy()
    rows = decoded.rows[prepared.rows]
    fits = (times >= wanted.start) & (times < wanted.end) & (rows > after)
    for at in np.flatnonzero(fits).tolist():
        if events.column(KEY)[at].as_py() != wanted.key:
            continue
        row, time = int(rows[at]), int(times[at])
        message = segment.messages.slice(row, 1).to_pylist()[0]
        header, payload = segment.header, message["data"]
        yield (
            row,
            {
                "position": f"{header.run}/{header.lane:04d}/{header.number}#{row}",
                "message_id": message["message_id"],
                "publish_time": time_in(message["publish_time"]),
                "attributes": dict(message["attributes"] or []),
                "payload": _text(payload),
                "payload_hex": None if _text(payload) is not None else payload.hex(),
                "event_time": time_in(time),
                "event_id": json_value(events.column(ID)[at].as_py()),
                "generation": header.generation,
                "fate": fate_of(compiled, header, time, served),
            },
        )


def fate_of(compiled: CompiledDefinition, header: SegmentHeader, time: int, served: tuple[int, str | None]) -> str:
    """The fate of an event of a segment (see `messages_of`); `served`: boundary, and the live run if there is one."""
    boundary, live_run = served
    if header.generation <= boundary:
        return "batch"
    definition = compiled.definition
    watermark = header.watermarks.get(definition.source.version)
    closes = time // definition.tile * definition.tile + definition.tile + definition.lateness
    if watermark is not None and closes <= watermark:
        return "late"
    return "live" if live_run is not None else "waiting"


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _place(cursor: str | None) -> Place:
    if cursor is None:
        return "", 0, -1
    try:
        found: Sequence[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        lane, number, row = found
        if isinstance(lane, str) and isinstance(number, int) and isinstance(row, int):
            return lane, number, row
    except (ValueError, TypeError, RecursionError):
        pass
    raise UserError("after isn't the `next` of a page of messages")
