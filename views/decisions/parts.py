"""Stored verdicts: rows by rule, part of time and key, with a byte for each window that starts in the part.

A row also has what stands before its part: what all of the key's earlier verdicts mean for later ones. So a pass reads
parts from the first window on that it may change; a key without a row there has no data in it, and nothing before. That
holds for parts up to the one that has the last window that is over: when a pass reaches another, it writes the rows of
all keys of which something stands there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from tandem.schemas.rules.automaton import Standing, standings_after
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.time.windows import AnyWindow
from tandem.views.decisions.tables import decision_verdict_parts
from tandem.views.decisions.verdicts import NO_WINDOWS, KeptVerdicts
from tandem.views.decisions.windows import grid_of
from tandem.views.results.clocks import BEGINNING
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import delete_rows, select_rows, whole_rows

__all__ = [
    "ChangedParts",
    "StoredPart",
    "all_parts",
    "changed_parts",
    "drop_verdicts",
    "last_window",
    "on_grid",
    "part_of",
    "stored_verdicts",
    "write_verdicts",
]

_WINDOWS: Final = 1_024
"""Steps of a rule's windows that a part has. Stored rows depend on it: another number needs another schema version."""
_IN_ONE: Final = 400


class StoredPart(NamedTuple):
    """The verdicts of a key and part as they are stored."""

    part: int
    """Its start, microseconds UTC; BEGINNING: the row has all of the key's verdicts, as schema versions up to 10."""
    key: str
    first: int
    """The start of the first window with data; BEGINNING without any."""
    last: int
    codes: bytes
    """A byte for each window from the first to the last, packed by zlib."""
    before: str
    """What stands before the part, as a JSON array of the fields of `Standing`; '' for nothing."""


@dataclass
class ChangedParts:
    """What a pass writes of a rule's verdicts."""

    written: list[StoredPart] = field(default_factory=list)
    gone: list[tuple[int, str]] = field(default_factory=list)
    """(part, key) without data, and with nothing before it."""
    anew: bool = False
    """Whether these are all rows of the rule."""

    @property
    def keys(self) -> list[str]:
        """The keys of these rows."""
        return sorted({*(row.key for row in self.written), *(key for _, key in self.gone)})


def part_of(rule: CompiledRule, start: int | None) -> int:
    """The start of the part that has the window which starts then; BEGINNING before all windows."""
    if start is None or start == BEGINNING:
        return BEGINNING
    return start // (_WINDOWS * rule.every) * _WINDOWS * rule.every


def stored_verdicts(
    connection: sa.Connection, name: str, rule: str, since: int, keys: Sequence[str] | None = None
) -> list[StoredPart]:
    """The stored verdicts of some keys, or of all, from a part on."""
    place = {"name": name, "rule": rule, "since": since}
    if keys is None:
        return [StoredPart(*row[2:]) for row in whole_rows(connection, decision_verdict_parts, _SINCE, place)]
    v, found = decision_verdict_parts.c, list[StoredPart]()
    parts = _parts_since(connection, place)
    columns = (v.part, v.key, v.first, v.last, v.codes, v.before)
    mine = sa.select(*columns).where(v.name == name, v.rule == rule, v.part.in_(parts))
    for at in range(0, len(keys), _IN_ONE):
        some = connection.execute(mine.where(v.key.in_(keys[at : at + _IN_ONE])))
        found += [StoredPart(*row) for row in some]
    return found


_SINCE: Final = sa.text("SELECT * FROM decision_verdict_parts WHERE name = :name AND rule = :rule AND part >= :since")
_NEXT: Final = sa.text(
    "SELECT part FROM decision_verdict_parts WHERE name = :name AND rule = :rule AND part >= :since "
    "ORDER BY part LIMIT 1"
)


def _parts_since(connection: sa.Connection, place: dict[str, Any]) -> list[int]:
    found = list[int]()
    while rows := select_rows(connection, _NEXT, place):
        found.append(int(rows[0][0]))
        place = {**place, "since": found[-1] + 1}
    return found


def on_grid(
    stored: Iterable[StoredPart], window: AnyWindow, since: int, keys: Sequence[str] | None = None
) -> KeptVerdicts:
    """The verdicts of some keys, or of all stored ones, on one grid, which begins at `since`."""
    rows = list(stored)
    wanted = sorted({row.key for row in rows} if keys is None else {*keys})
    before = dict[int, dict[str, Standing]]()
    for row in rows:
        if row.before:
            before.setdefault(row.part, {})[row.key] = Standing(*json.loads(row.before))
    rows = [row for row in rows if row.last > BEGINNING]
    if not rows:
        return KeptVerdicts(wanted, NO_WINDOWS, np.zeros((len(wanted), 0), np.uint8), since, before)
    first = min(row.first for row in rows) if since == BEGINNING else since
    grid, places = grid_of(window, first, max(row.last for row in rows)), {key: at for at, key in enumerate(wanted)}
    codes = np.zeros((len(wanted), len(grid)), np.uint8)
    for row, at in zip(rows, np.searchsorted(grid.starts, [row.first for row in rows]).tolist(), strict=True):
        kept = np.frombuffer(zlib.decompress(row.codes), np.uint8)
        codes[places[row.key], at : at + len(kept)] = kept
    return KeptVerdicts(wanted, grid, codes, since, before)


def changed_parts(
    rule: CompiledRule, kept: KeptVerdicts, changed: Iterable[tuple[int, Sequence[int]]], before: int, reached: int
) -> ChangedParts:
    """What is to be written once verdicts have changed, by (a time in their part, rows); brings `kept.before` up to
    date.

    `reached`: the last part of which rows say what stands before it, and `before` that of the stored rows; where these
    differ, `kept` has all keys.
    """
    by_part, found, earlier, last = dict[int, set[int]](), ChangedParts(), set[int](), (BEGINNING, 0)
    for start, rows in changed:
        by_part.setdefault(part_of(rule, start), set()).update(rows)
    for part, begin, end in _parts_of(rule, kept):
        here, others = by_part.get(part, set()), set[int]()
        if begin and part <= reached:
            is_new = part > before
            others = {*range(len(kept.keys))} if is_new else earlier
            stand = _stand_anew(rule, kept, sorted(others), last, (part, begin))
            others = stand if is_new else others
        _add(found, kept, part, slice(begin, end), sorted(here | others))
        earlier, last = earlier | here, (part, begin)
    return found


def all_parts(rule: CompiledRule, kept: KeptVerdicts, reached: int) -> ChangedParts:
    """As `changed_parts`, where all rows are written anew; `kept` has all keys and windows."""
    everything = [
        (part, np.flatnonzero(kept.codes[:, begin:end].any(axis=1)).tolist())
        for part, begin, end in _parts_of(rule, kept)
    ]
    found = changed_parts(rule, kept, everything, BEGINNING, reached)
    found.anew = True
    return found


def _parts_of(rule: CompiledRule, kept: KeptVerdicts) -> list[tuple[int, int, int]]:
    """(start, first column, column after the last) of each part of the grid that has windows."""
    size = _WINDOWS * rule.every
    parts = kept.grid.starts // size * size
    edges = [*np.flatnonzero(np.diff(parts, prepend=BEGINNING)).tolist(), len(parts)]
    return [(int(parts[begin]), begin, end) for begin, end in pairwise(edges)]


def _stand_anew(
    rule: CompiledRule, kept: KeptVerdicts, rows: Sequence[int], last: tuple[int, int], here: tuple[int, int]
) -> set[int]:
    """Bring up to date what stands before a part by what stood before the last; both are (start, first column).

    Returns the rows of which anything stands there.
    """
    if not rows:
        return set()
    columns, known = slice(last[1], here[1]), kept.before.get(last[0], {})
    standing = {at: known[kept.keys[row]] for at, row in enumerate(rows) if kept.keys[row] in known}
    found = standings_after(kept.codes[rows, columns], standing, kept.grid.starts[columns], rule.hysteresis)
    before = kept.before.setdefault(here[0], {})
    for at, row in enumerate(rows):
        if at in found:
            before[kept.keys[row]] = found[at]
        else:
            before.pop(kept.keys[row], None)
    return {rows[at] for at in found}


def _add(found: ChangedParts, kept: KeptVerdicts, part: int, columns: slice, rows: Sequence[int]) -> None:
    """Add the rows of these keys, without the windows at their ends that have no data."""
    starts, standing = kept.grid.starts[columns], kept.before.get(part, {})
    for row in rows:
        key, codes = kept.keys[row], kept.codes[row, columns]
        there = np.flatnonzero(codes)
        before = json.dumps(astuple(standing[key]), separators=(",", ":")) if key in standing else ""
        if len(there):
            first, last = int(there[0]), int(there[-1])
            packed = zlib.compress(codes[first : last + 1].tobytes(), 1)
            found.written.append(StoredPart(part, key, int(starts[first]), int(starts[last]), packed, before))
        elif before:
            found.written.append(StoredPart(part, key, BEGINNING, BEGINNING, b"", before))
        else:
            found.gone.append((part, key))


def write_verdicts(database: Database, connection: sa.Connection, name: str, rule: str, parts: ChangedParts) -> None:
    """Store changed rows of a rule."""
    if parts.anew:
        drop_verdicts(connection, name, rule)
    delete_rows(
        connection, decision_verdict_parts, ("name", "rule", "part", "key"), [(name, rule, *row) for row in parts.gone]
    )
    database.write_rows(
        connection, database.overwrite(decision_verdict_parts), ((name, rule, *row) for row in parts.written)
    )


def drop_verdicts(connection: sa.Connection, name: str, rule: str) -> None:
    """Delete a rule's verdicts."""
    v = decision_verdict_parts.c
    connection.execute(decision_verdict_parts.delete().where(v.name == name, v.rule == rule))


def last_window(connection: sa.Connection, name: str, rule: str) -> int | None:
    """The start of the last window that has a verdict."""
    place = {"name": name, "rule": rule, "none": BEGINNING}
    found = select_rows(connection, _LAST, place)[0][0]
    return None if found is None else int(found)


_LAST: Final = sa.text(
    "SELECT max(last) FROM decision_verdict_parts WHERE name = :name AND rule = :rule AND part = (SELECT part "
    "FROM decision_verdict_parts WHERE name = :name AND rule = :rule AND last > :none ORDER BY part DESC LIMIT 1)"
)
