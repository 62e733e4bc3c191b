"""Sessions of a key, merged from tiles at read time (`tandem.schemas.time.sessions` defines them)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.certificate import Certificate, time_text
from tandem.schemas.columns import FIRST_TIME, LAST_TIME
from tandem.schemas.errors import StoreError, UserError
from tandem.schemas.time.durations import format_duration
from tandem.schemas.time.sessions import session_groups
from tandem.views.answers.certifying import certificate_of
from tandem.views.answers.merging import decode_states, results_of
from tandem.views.answers.reading.rows import TileRow, late_by_tile, tile_rows
from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore

__all__ = ["Session", "Sessions", "check_gap", "event_times", "session_at", "sessions", "sessions_within"]

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a key; times are microseconds UTC."""

    start: int
    """Time of its first event."""
    end: int
    """Time of its last event."""
    closes: int
    """`end` plus the gap: an event of this time or later begins another session."""
    open: bool
    """Whether the session may become longer: a live run is served whose watermark hasn't reached `closes`."""
    results: dict[str, Any]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one key that overlap [start, end), whole, in the order of time, with one certificate.

    A session reaches from its first to its last event, both included. The certificate's counts are of the listed
    sessions; its status says whether the list is complete, exact, and can't change.
    """

    key: str
    start: int
    end: int
    gap: int
    decided_by: tuple[int, int]
    """[start, end) of the tiles whose events decide which sessions are listed; the certificate's status covers these.
            """
    sessions: tuple[Session, ...]
    certificate: Certificate


def check_gap(compiled: Compiled, gap: int) -> None:
    """Raise UserError unless sessions of this gap (microseconds) can be merged from the definition's tiles."""
    definition = compiled.definition
    names = [name for name, _ in compiled.measures]
    if FIRST_TIME not in names or LAST_TIME not in names:
        raise UserError(
            f"{definition.name} keeps no sessions: declare one in its definition, such as "
            f"`windows: {{visit: {{session: 30m}}}}`, and build that version"
        )
    if gap < definition.tile:
        raise UserError(
            f"a gap of {format_duration(max(gap, 0))} is shorter than the tile of {definition.name}, "
            f"{format_duration(definition.tile)}; sessions of it can't be told apart"
        )


def session_at(store: ViewStore, compiled: Compiled, key: str, at: int, gap: int) -> Sessions:
    """The session that is current at an instant, if any: begun by then, with its last event less than the gap before.

    Start and end of the result are the instant. Raises UserError as `check_gap`.
    """
    check_gap(compiled, gap)
    return replace(sessions(store, compiled, key, at - gap + 1, at + 1, gap), start=at, end=at)


def sessions(store: ViewStore, compiled: Compiled, key: str, start: int, end: int, gap: int) -> Sessions:
    """The sessions of a key (canonical) that overlap [start, end), any instants in microseconds UTC.

    Sessions that cross the bounds are read to their real ends. Raises UserError as `check_gap`, and for an empty span.
    """
    check_gap(compiled, gap)
    if start >= end:
        raise UserError(f"a span ends after it starts, found start {start} and end {end}")
    with store.database.read() as connection:
        return sessions_within(
            connection, read_scope(connection, store.chains, compiled), compiled, key, start, end, gap
        )


def sessions_within(
    connection: sa.Connection, scope: Scope, compiled: Compiled, key: str, start: int, end: int, gap: int
) -> Sessions:
    """As `sessions`, in an open read transaction."""
    size = compiled.definition.tile
    span = _reach(start, end - 1, gap, size)
    tiles = _Tiles(connection, scope, compiled, key, span[0], span[0])
    tiles.read_after(span[1])
    found = _overlapping(tiles, start, end, gap)
    while len(found.starts):
        low, high = _reach(found.starts[0], found.ends[-1], gap, size)
        if low >= tiles.start and high <= tiles.end:
            span = min(low, span[0]), max(high, span[1])
            break
        ahead = tiles.end - tiles.start  # doubles each time: long sessions take few reads
        if low < tiles.start:
            tiles.read_before(min(low, tiles.start - ahead))
        if high > tiles.end:
            tiles.read_after(max(high, tiles.end + ahead))
        found = _overlapping(tiles, start, end, gap)
    late = _Late.of(late_by_tile(connection, tiles.scope, *span))
    listed = tuple(_listed(tiles, found, late, gap))
    opened = sum(session.open for session in listed)
    changing = (f"{opened} of {len(listed)} sessions are open",) if opened else ()
    rows = [row for rows in found.rows for row in rows]
    certificate = certificate_of(compiled, tiles.scope, rows, late.between(*span), span[1], changing=changing)
    return Sessions(key, start, end, gap, span, listed, certificate)


def _reach(first: int, last: int, gap: int, tile: int) -> tuple[int, int]:
    """[start, end) of the tiles in which an event would belong to a session with events from `first` to `last`."""
    return (first - gap + 1) // tile * tile, ((last + gap - 1) // tile + 1) * tile


@dataclass
class _Tiles:
    """The rows of one key in all tiles of [start, end), with their decoded states."""

    connection: sa.Connection
    scope: Scope
    compiled: Compiled
    key: str
    start: int
    end: int
    rows: list[TileRow] = field(default_factory=list)
    columns: list[pa.Array] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.compiled.definition.name}, key {self.key}"

    def read_before(self, start: int) -> None:
        self._read(start, self.start)
        self.start = start

    def read_after(self, end: int) -> None:
        self._read(self.end, end)
        self.end = end

    def _read(self, start: int, end: int) -> None:
        rows = [row for row in tile_rows(self.connection, self.scope, self.key, start, end) if row.events]
        columns = decode_states(self.compiled.measures, [row.states for row in rows], self.place)
        both = zip(self.columns, columns, strict=True) if self.columns else ()
        self.columns = [pa.concat_arrays(parts) for parts in both] or columns
        self.rows += rows

    def times(self, name: str) -> Times:
        return event_times(self.compiled, self.columns, name, self.place)


def event_times(compiled: Compiled, columns: Sequence[pa.Array], name: str, place: str) -> Times:
    """FIRST_TIME or LAST_TIME of rows whose states are `columns`. Raises StoreError for a row without one."""
    names = [measure for measure, _ in compiled.measures]
    values = columns[names.index(name)].field("value")
    if values.null_count:
        raise StoreError(f"states of {place} are damaged: {values.null_count} have events and no time")
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)


@dataclass(frozen=True)
class _Found:
    """Sessions in the order of time: start, end, and the positions of their rows."""

    starts: list[int]
    ends: list[int]
    members: list[Times]
    rows: list[list[TileRow]]


def _overlapping(tiles: _Tiles, start: int, end: int, gap: int) -> _Found:
    first, last = tiles.times(FIRST_TIME), tiles.times(LAST_TIME)
    groups = session_groups(first, last, gap)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else []
    found = _Found([], [], [], [])
    for rows in members:
        begins, ends = int(first[rows].min()), int(last[rows].max())
        if begins < end and ends >= start:
            found.starts.append(begins)
            found.ends.append(ends)
            found.members.append(rows)
            found.rows.append([tiles.rows[row] for row in rows])
    return found


@dataclass(frozen=True)
class _Late:
    """Pending late events by tile, with sums over any range of tiles."""

    tiles: list[int]
    sums: list[int]

    @classmethod
    def of(cls, by_tile: dict[int, int]) -> _Late:
        tiles = sorted(by_tile)
        return cls(tiles, [0, *accumulate(by_tile[tile] for tile in tiles)])

    def between(self, start: int, end: int) -> int:
        return self.sums[bisect_left(self.tiles, end)] - self.sums[bisect_left(self.tiles, start)]


def _listed(tiles: _Tiles, found: _Found, late: _Late, gap: int) -> Iterator[Session]:
    measures, size = tiles.compiled.measures, len(found.members)
    groups = np.repeat(np.arange(size), [len(rows) for rows in found.members])
    taken = pa.array(np.concatenate(found.members) if size else [], pa.int64())
    merged = [
        measure.merge(states.take(taken), groups, size)
        for (_, measure), states in zip(measures, tiles.columns, strict=True)
    ]
    results = results_of(tiles.compiled, merged) if size else []
    for start, end, rows, values in zip(found.starts, found.ends, found.rows, results, strict=True):
        low, high = _reach(start, end, gap, tiles.compiled.definition.tile)
        reason = _open_reason(tiles.scope, end + gap)
        certificate = certificate_of(
            tiles.compiled, tiles.scope, rows, late.between(low, high), high, changing=[reason] if reason else []
        )
        yield Session(start, end, end + gap, reason is not None, values, certificate)


def _open_reason(scope: Scope, closes: int) -> str | None:
    """The reason why a session can still become longer; None if it can't."""
    if scope.live_run is None or (scope.watermark is not None and scope.watermark >= closes):
        return None
    known = "there is none yet" if scope.watermark is None else f"it is {time_text(scope.watermark)}"
    return f"the session is open until the watermark reaches {time_text(closes)}; {known}"
