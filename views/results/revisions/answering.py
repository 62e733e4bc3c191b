"""Reads the answers of windows and keys in the form of results, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.models import Definition
from tandem.schemas.expressions import Expression, evaluate_rows
from tandem.schemas.json_values import compact_json, plain_texts
from tandem.schemas.result_windows.checks import EVENTS_NAME
from tandem.schemas.results import results_batch
from tandem.schemas.time.windows import SessionWindow
from tandem.views.answers.certifying import statuses
from tandem.views.answers.merging import merge_results
from tandem.views.answers.reading.rows import TileRow, late_by_tile, span_rows, tile_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.answers.sessions import sessions_within

__all__ = ["MOST_BY_KEY", "Asked", "Found", "Last", "read_answers"]

Asked = Mapping[tuple[int, int], "set[str] | None"]
"""By window, or by a session's place, the wanted keys; None: all keys."""

MOST_BY_KEY: Final = 64
"""Most keys that are read one by one; more are selected from a read of all keys."""


class Last(NamedTuple):
    """The stored last revision of a window and key."""

    start: int
    key: str
    end: int
    closes: int
    revision: int
    timing: int
    events: int
    answer: str | None
    id: str


class Found(NamedTuple):
    """The current answer of a window and key; times in microseconds UTC."""

    start: int
    end: int
    closes: int
    key: str
    events: int
    live_events: int
    answer: str | None
    """The results as JSON with sorted names; None without events, or where `where` isn't true."""
    status: str
    pending_late: int
    shown: str | None = None
    """The same in the definition's order, as messages have it."""


def read_answers(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    name: str,
    asked: Asked,
    lasts: Sequence[Last],
) -> list[Found]:
    """The answers of a result's windows and keys: the wanted ones, and those of `lasts`."""
    window = compiled.definition.results[name].window
    if isinstance(window, SessionWindow):
        return list(_sessions(connection, scope, compiled, name, asked, lasts, window.gap))
    wanted = {place: set(keys) if keys is not None else None for place, keys in asked.items()}
    gone = {place: {last.key for last in lasts if (last.start, last.end) == place} for place in asked}
    found: list[Found] = []
    for cluster in _clusters(sorted(wanted)):
        found += _windows(connection, scope, compiled, name, {place: wanted[place] for place in cluster}, gone)
    return found


def _clusters(windows: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Groups of windows that touch each other, which are read together."""
    held: list[tuple[int, int]] = []
    for window in windows:
        if held and window[0] > max(end for _, end in held):
            yield held
            held = []
        held.append(window)
    if held:
        yield held


def _windows(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    name: str,
    wanted: Mapping[tuple[int, int], set[str] | None],
    gone: Mapping[tuple[int, int], set[str]],
) -> list[Found]:
    start, end = min(wanted)[0], max(end for _, end in wanted)
    rows = _rows(connection, scope, wanted.values(), start, end)
    late = late_by_tile(connection, scope, start, end)
    places, members, of_group = _placed(rows, wanted, gone)
    events, live = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    counts = np.fromiter((row.events for row in rows), np.int64, len(rows))
    generations = np.fromiter((row.generation for row in rows), np.int64, len(rows))
    np.add.at(events, of_group, counts[members])
    np.add.at(live, of_group, np.where(generations > 0, counts, 0)[members])
    states = [rows[i].states for i in members.tolist()]
    results = merge_results(compiled, states, of_group, len(places), f"result {name}")
    answers = _answers(compiled, name, events.tolist(), results)
    pending = {place: sum(n for tile, n in late.items() if place[0] <= tile < place[1]) for place in wanted}
    waits = [pending[low, high] for low, high, _ in places]
    ends = [high for _, high, _ in places]
    stated = statuses(compiled, scope, ends, events.tolist(), live.tolist(), waits)
    columns = zip(places, events.tolist(), live.tolist(), answers, stated, waits, strict=True)
    return [
        Found(low, high, high, key, count, from_live, stored, status, late_here, sent)
        for (low, high, key), count, from_live, (stored, sent), status, late_here in columns
    ]


Places = tuple[list[tuple[int, int, str]], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _placed(
    rows: Sequence[TileRow],
    wanted: Mapping[tuple[int, int], set[str] | None],
    gone: Mapping[tuple[int, int], set[str]],
) -> Places:
    """(windows and keys, by window and then by key; the indices of their rows; the window and key of each of these
    rows).
    """
    keys = sorted(
        {*(row.key for row in rows), *(key for some in (wanted, gone) for each in some.values() for key in each or ())}
    )
    codes = {key: code for code, key in enumerate(keys)}
    of_row = np.fromiter((codes[row.key] for row in rows), np.int64, len(rows))
    tiles = np.fromiter((row.tile for row in rows), np.int64, len(rows))
    places, members, groups = list[tuple[int, int, str]](), list[Any](), list[Any]()
    for (low, high), asked in wanted.items():
        here = np.flatnonzero((tiles >= low) & (tiles < high))
        if asked is not None:
            here = here[np.isin(of_row[here], np.fromiter((codes[key] for key in asked), np.int64, len(asked)))]
        others = np.fromiter((codes[key] for key in gone[low, high] | (asked or set())), np.int64)
        known = np.unique(np.concatenate([of_row[here], others]))
        members.append(here)
        groups.append(len(places) + np.searchsorted(known, of_row[here]))
        places += [(low, high, keys[code]) for code in known.tolist()]
    return places, np.concatenate(members), np.concatenate(groups)


def _rows(connection: sa.Connection, scope: Scope, wanted: Any, start: int, end: int) -> list[TileRow]:
    keys = set[str]()
    for each in wanted:
        if each is None or len(keys) > MOST_BY_KEY:
            return [row for row in span_rows(connection, scope, start, end) if row.events]
        keys |= each
    if len(keys) > MOST_BY_KEY:
        return [row for row in span_rows(connection, scope, start, end) if row.events]
    return [row for key in sorted(keys) for row in tile_rows(connection, scope, key, start, end) if row.events]


def _answers(
    compiled: CompiledDefinition, name: str, events: Sequence[int], results: list[dict[str, Any]]
) -> list[tuple[str, str] | tuple[None, None]]:
    """The results of each window and key: as they are stored and compared, and as they are sent."""
    if not results:
        return []
    condition = dict(compiled.result_wheres).get(name)
    kept = _holds(compiled, condition, events, results) if condition is not None else [True] * len(results)
    return [
        texts if count and keeps else (None, None)
        for texts, count, keeps in zip(_texts(results), events, kept, strict=True)
    ]


def _texts(results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The results of each as JSON with sorted names, and in the definition's order."""
    names = list(results[0])
    columns = {name: plain_texts([each[name] for each in results]) for name in names}
    stored, shown = _objects(sorted(names)), _objects(names)
    by_name = zip(*(columns[name][1] for name in sorted(names)), strict=True)
    in_order = zip(*(columns[name][0] for name in names), strict=True)
    return ((stored % texts, shown % others) for texts, others in zip(by_name, in_order, strict=True))


def _objects(names: Sequence[str]) -> str:
    """A JSON template with these names, to be filled in by `%`."""
    return "{" + ",".join(f"{compact_json(name).replace('%', '%%')}:%s" for name in names) + "}"


def _holds(
    compiled: CompiledDefinition, condition: Expression, events: Sequence[int], results: list[dict[str, Any]]
) -> list[bool]:
    if not results:
        return []
    rows = [{EVENTS_NAME: count, **values} for count, values in zip(events, results, strict=True)]
    fields = [field for field in condition.schema if field.name in condition.columns]
    batch = results_batch(compiled.measures, rows, fields)
    values, _ = evaluate_rows(condition, batch)
    return [value is True for value in values.to_pylist()]


def _sessions(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    name: str,
    asked: Asked,
    lasts: Sequence[Last],
    gap: int,
) -> Iterator[Found]:
    """The sessions near each tile and key, and the remains of sessions that were sent."""
    found: dict[tuple[int, str], Found] = {}
    for (tile, _), keys in sorted(asked.items()):
        low, high = tile - gap + 1, tile + compiled.definition.tile + gap
        if keys is None:
            rows = span_rows(connection, scope, _floor(compiled.definition, low), _floor(compiled.definition, high - 1))
            keys = {row.key for row in rows if row.events} | {
                last.key for last in lasts if last.start < high and last.closes > low
            }
        for key in sorted(keys):
            mine = [last for last in lasts if last.key == key and last.start < high and last.closes > low]
            span = min([low, *(last.start for last in mine)]), max([high, *(last.end + 1 for last in mine)])
            for each in _key_sessions(connection, scope, compiled, name, key, span, gap):
                found[each.start, key] = each
            for last in mine:
                if (last.start, key) not in found:
                    gone = Found(last.start, last.end, last.closes, key, 0, 0, None, "PROVISIONAL", 0)
                    found[last.start, key] = gone
    yield from found.values()


def _floor(definition: Definition, at: int) -> int:
    return at // definition.tile * definition.tile


def _key_sessions(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    name: str,
    key: str,
    span: tuple[int, int],
    gap: int,
) -> Iterator[Found]:
    listed = sessions_within(connection, scope, compiled, key, *span, gap).sessions
    events = [session.certificate.events for session in listed]
    answers = _answers(compiled, name, events, [session.results for session in listed])
    for session, count, (stored, sent) in zip(listed, events, answers, strict=True):
        certificate = session.certificate
        yield Found(
            session.start,
            session.end,
            session.closes,
            key,
            count,
            count - certificate.batch_events,
            stored,
            certificate.status.value,
            certificate.pending_late,
            sent,
        )
