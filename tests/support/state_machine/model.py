"""The state machine's definition, its messages, and a naive oracle over the journal's segments: plain Python."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from tandem.journal.clocks import SECOND
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import Kind, SegmentHeader, load_segment
from tandem.schemas.definition.loading import loads

__all__ = ["DEFINITION", "KEYS", "LATENESS", "START", "TEXT", "TILE", "Answers", "Copy", "Event", "Model", "payload"]

START = 1_700_000_000 * SECOND
TILE = 10 * SECOND
LATENESS = 10 * SECOND
KEYS = ('["a"]', '["b"]')
DEFAULT_AMOUNT = 5

TEXT = """
name: machine
source:
  schema:
    type: record
    name: Sale
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: shop, type: string}
      - {name: amount, type: long, default: 5}
  format: json
  event_id: id
  event_time: at
  out_of_orderness: 2s
  max_ahead: null
where: amount >= 0
key: shop
tile: 10s
lateness: 10s
measures:
  count: count
  amount: {sum: amount}
  highest: {max: amount}
results:
  each: {window: 10s, trigger: {early: 1s}, to: log}
  wide: {window: 20s, trigger: {early: 5s, late: 5s}, lateness: 20s, mode: retracting, where: count > 1, to: log}
  slid: {window: {size: 20s, every: 10s}, trigger: {late: never}, to: log}
"""
DEFINITION = loads(TEXT)

Answers = dict[tuple[str, int], dict[str, Any]]
"""By (key, tile)."""


@dataclass(frozen=True, order=True)
class Event:
    """One event; `at` in microseconds UTC."""

    id: str
    at: int
    shop: str
    amount: int

    @property
    def tile(self) -> int:
        """Start of its tile."""
        return self.at // TILE * TILE

    @property
    def key(self) -> str:
        """Canonical key."""
        return json.dumps([self.shop])


def payload(event: Event, writer: str = "same") -> bytes:
    """A message of the event. Writers: 'same', 'older' (it knew no amount), 'newer' (it has a field more)."""
    record: dict[str, Any] = {"id": event.id, "at": event.at, "shop": event.shop, "amount": event.amount}
    if writer == "older":
        del record["amount"]
    elif writer == "newer":
        record["note"] = {"by": ["a newer writer"]}
    return json.dumps(record).encode()


def read(data: bytes) -> Event | None:
    """The event of a message, by the rules of schema evolution; None for what is none."""
    try:
        record = json.loads(data)
        values = (record["id"], record["at"], record["shop"], record.get("amount", DEFAULT_AMOUNT))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Event(*values) if tuple(map(type, values)) == (str, int, str, int) else None


@dataclass(frozen=True)
class Copy:
    """One message as the journal holds it."""

    event: Event | None
    generation: int
    segment: tuple[str, int]
    """Lane and number."""
    late: bool

    @property
    def counts(self) -> bool:
        """Whether it is an event that the filter lets through."""
        return self.event is not None and self.event.amount >= 0


@dataclass
class Model:
    """What the journal holds, segment by segment, and the laws of its lanes."""

    copies: list[Copy] = field(default_factory=list)
    messages: set[str] = field(default_factory=set)
    """Ids of all messages in it."""
    _known: set[str] = field(default_factory=set)
    _owners: dict[str, str] = field(default_factory=dict)
    """Nonce of the newest opening of each lane."""
    _ended: set[str] = field(default_factory=set)
    _last: dict[str, int] = field(default_factory=dict)

    def scan(self, blobs: MemoryBlobs) -> None:
        """Read what is new. Raises AssertionError where a lane breaks a law."""
        new = [path for path in blobs._blobs if path.startswith("lanes/") and path not in self._known]
        for path in sorted(new):
            self._known.add(path)
            segment = load_segment(blobs, path)
            self._check(segment.header)
            header = segment.header
            if header.kind is not Kind.DATA:
                continue
            self.messages.update(segment.messages.column("message_id").to_pylist())
            (watermark,) = header.watermarks.values() if header.watermarks else (None,)
            place = (f"{header.run}/{header.lane:04d}", header.number)
            for data in segment.messages.column("data").to_pylist():
                event = read(data)
                late = event is not None and event.amount >= 0 and watermark is not None
                late = late and event is not None and event.tile + TILE + LATENESS <= (watermark or 0)
                self.copies.append(Copy(event, header.generation, place, late))

    def _check(self, header: SegmentHeader) -> None:
        """Fencing: after an opening only its own reader writes, and nobody after the final seal; no gaps."""
        lane = f"{header.run}/{header.lane:04d}"
        assert header.number == self._last.get(lane, 0) + 1, f"lane {lane} has a gap before {header.number}"
        self._last[lane] = header.number
        assert lane not in self._ended, f"lane {lane}: segment {header.number} lies behind the final seal"
        if header.kind is Kind.OPENING:
            self._owners[lane] = header.nonce
        elif header.final is None or header.final == header.run:
            assert self._owners.get(lane) == header.nonce, f"lane {lane}: {header.number} is by a fenced writer"
        if header.final is not None:
            self._ended.add(lane)

    def segments(self) -> dict[tuple[str, int], list[Copy]]:
        """The copies by segment."""
        found: dict[tuple[str, int], list[Copy]] = {}
        for copy in self.copies:
            found.setdefault(copy.segment, []).append(copy)
        return found

    def events(self, boundary: int, fired: Collection[tuple[tuple[str, int], int, str]]) -> set[Event]:
        """What is to be served: all up to the boundary, and after it what came in time and in a pane that fired.

        `fired`: (segment, tile, key).
        """
        return {
            copy.event
            for copy in self.copies
            if copy.event is not None
            and copy.counts
            and (copy.generation <= boundary or (not copy.late and _place(copy) in fired))
        }

    def taken_in(self, boundary: int, received: Collection[tuple[str, int]]) -> set[Event]:
        """What the served views know of, in them or not: all that a FINAL answer must hold."""
        return {
            copy.event
            for copy in self.copies
            if copy.event is not None and copy.counts and (copy.generation <= boundary or copy.segment in received)
        }


def answers_of(events: Iterable[Event]) -> Answers:
    """The measures of these events, each once."""
    found: Answers = {}
    for event in events:
        row = found.setdefault((event.key, event.tile), {"count": 0, "amount": 0, "highest": event.amount, "events": 0})
        row["count"] += 1
        row["events"] += 1
        row["amount"] += event.amount
        row["highest"] = max(row["highest"], event.amount)
    return found


def _place(copy: Copy) -> tuple[tuple[str, int], int, str]:
    assert copy.event is not None
    return copy.segment, copy.event.tile, copy.event.key
