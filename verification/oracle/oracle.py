"""The expected answers, computed naively: decode each message by itself, leave copies out, group, compute at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tandem.formats.messages import decode_messages
from tandem.journal.broker.memory import Message, messages_of
from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.results import with_derived
from tandem.schemas.time.limits import MAX_TIME
from tandem.verification.oracle.naive import Row, differs
from tandem.verification.oracle.values import rank
from tandem.views.answers.differences import same

__all__ = ["Event", "Oracle"]

_NEVER_AHEAD: Final = MAX_TIME


@dataclass(frozen=True, slots=True)
class Event:
    """One event that the definition counts."""

    identity: tuple[Any, ...]
    """Id, time, and all content that the definition reads: equal for copies."""
    key: str
    """Canonical, as in schemas.columns.KEY."""
    tile: int
    """Start, microseconds UTC."""
    row: Row

    @property
    def time(self) -> int:
        """The event's time, microseconds UTC."""
        return int(self.row[TIME])


class Oracle:
    """The answers of one definition; caches decoded events."""

    def __init__(self, compiled: CompiledDefinition) -> None:
        self.compiled = compiled
        self._known: dict[bytes, Event | None] = {}

    def event(self, payload: bytes) -> Event | None:
        """The event of a message; None for one that is filtered or dead. Event times are never too far ahead."""
        if payload not in self._known:
            self._known[payload] = self._decode(payload)
        return self._known[payload]

    def _decode(self, payload: bytes) -> Event | None:
        compiled = self.compiled
        message = messages_of([Message("m", payload, _NEVER_AHEAD)])
        decoded = decode_messages(compiled.definition.source, compiled.source_columns, message)
        if not decoded.events.num_rows:
            return None
        prepared = compiled.prepare(decoded.events).events
        if not prepared.num_rows:
            return None
        row, content = prepared.to_pylist()[0], decoded.events.to_pylist()[0]
        read = tuple(_content(content[name]) for name in compiled.source_columns)
        size = compiled.definition.tile
        return Event((row[ID], row[TIME], *read), row[KEY], row[TIME] // size * size, row)

    def counted(self, events: Iterable[Event]) -> list[Event]:
        """The events without copies, unless the definition counts copies."""
        if not self.compiled.definition.deduplicate:
            return list(events)
        return list({event.identity: event for event in events}.values())

    def prepared(self, events: Iterable[Event]) -> pa.RecordBatch:
        """The events as inputs of measures, in this order."""
        return pa.RecordBatch.from_pylist([event.row for event in events], schema=self.compiled.input_schema)

    def wrong(
        self, found: Mapping[tuple[str, int], Mapping[str, Any]], events: Iterable[Event], size: int | None = None
    ) -> tuple[str, str] | None:
        """(check, difference) of a wrong answer; None if all are right.

        Args:
            found: by (key, start): results by measure, and the number of events as 'events'.
            events: all that the answers must count; copies among them count once.
            size: of the windows, aligned to 1970-01-01 UTC, microseconds; the tile by default.
        """
        size = size or self.compiled.definition.tile
        groups: dict[tuple[str, int], list[Event]] = {}
        for event in self.counted(events):
            groups.setdefault((event.key, event.tile // size * size), []).append(event)
        for place in sorted(groups.keys() | found.keys()):
            wrong = self.wrong_at(found.get(place), groups.get(place, []))
            if wrong is not None:
                return wrong[0], f"key {place[0]}, {_span(place[1], size)}: {wrong[1]}"
        return None

    def wrong_at(self, found: Mapping[str, Any] | None, events: list[Event]) -> tuple[str, str] | None:
        """(check, difference) of one answer over these events, each of which counts; None if it is right."""
        if found is None or found.get("events", len(events)) != len(events):
            return "events", f"{0 if found is None else found['events']} events instead of {len(events)}"
        rows = [event.row for event in events]
        for name, measure in self.compiled.measures:
            if name not in found:
                continue  # kept for sessions, and not shown
            how = differs(measure, found[name], rows, self.compiled.input_schema)
            if how is not None:
                return name, f"{name} is {how}"
        return self._wrong_derived(found)

    def _wrong_derived(self, found: Mapping[str, Any]) -> tuple[str, str] | None:
        """(check, difference) of a derived result that doesn't follow from the window's measures, which are known to be
        right.
        """
        derived = self.compiled.derive_results
        names = {name for name, _ in derived}
        measured = {name: value for name, value in found.items() if name not in names}
        wanted = with_derived(self.compiled.measures, derived, [measured])[0]
        for name in names:
            if name in found and not same(found[name], wanted[name]):
                return name, f"{name} is {found[name]!r} instead of {wanted[name]!r}"
        return None


def _content(value: Any) -> Any:
    """Equal for equal content: any NaN and either zero are equal as floats, decimals by their text."""
    return rank(value) if isinstance(value, float) else str(value) if isinstance(value, Decimal) else value


def _span(start: int, size: int) -> str:
    return f"{size / 1e6:g} s from {start / 1e6:.6f} s"
