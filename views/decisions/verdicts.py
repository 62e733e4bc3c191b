"""Stored verdicts: one row by rule and key, a byte for each window of the grid."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.time.windows import AnyWindow
from tandem.views.decisions.judging import JudgedWindow
from tandem.views.decisions.tables import decision_verdicts
from tandem.views.decisions.windows import WindowGrid, grid_of
from tandem.views.storage.database import Database

__all__ = ["KeptVerdicts", "drop_verdicts", "last_window", "read_verdicts", "windows_not_judged", "write_verdicts"]

_IN_ONE: Final = 400


@dataclass
class KeptVerdicts:
    """The verdicts of some keys of a rule: a row for each key, a column for each window of the grid."""

    keys: list[str]
    grid: WindowGrid
    codes: Codes
    rows: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {key: row for row, key in enumerate(self.keys)}

    def put(self, window: JudgedWindow, keys: Iterable[str]) -> None:
        """Set the verdicts of some keys; keys that no longer have events get the window's `absent` verdict."""
        column = self.grid.place(window.start)
        for key in keys:
            at = window.places.get(key)
            self.codes[self.rows[key], column] = window.absent if at is None else window.codes[at]


def read_verdicts(
    connection: sa.Connection,
    name: str,
    rule: str,
    window: AnyWindow,
    keys: Sequence[str] | None,
    more: Iterable[int] = (),
) -> KeptVerdicts:
    """The stored verdicts of some keys, or of all; `more`: starts of windows that the grid must hold as well."""
    stored = {row.key: row for row in _rows(connection, name, rule, keys)}
    wanted = sorted({*(stored if keys is None else keys)})
    starts = [start for row in stored.values() for start in (row.first, row.last)] + list(more)
    if not starts:
        nothing = np.zeros(0, np.int64)
        return KeptVerdicts(wanted, WindowGrid(nothing, nothing), np.zeros((len(wanted), 0), np.uint8))
    grid = grid_of(window, min(starts), max(starts))
    codes = np.zeros((len(wanted), len(grid)), np.uint8)
    for at, key in enumerate(wanted):
        if key in stored:
            kept = np.frombuffer(zlib.decompress(stored[key].codes), np.uint8)
            first = grid.place(stored[key].first)
            codes[at, first : first + len(kept)] = kept
    return KeptVerdicts(wanted, grid, codes)


def _rows(connection: sa.Connection, name: str, rule: str, keys: Sequence[str] | None) -> Iterable[Any]:
    v = decision_verdicts.c
    mine = sa.select(v.key, v.first, v.last, v.codes).where(v.name == name, v.rule == rule)
    if keys is None:
        yield from connection.execute(mine)
        return
    for at in range(0, len(keys), _IN_ONE):
        yield from connection.execute(mine.where(v.key.in_(keys[at : at + _IN_ONE])))


def write_verdicts(database: Database, connection: sa.Connection, name: str, rule: str, kept: KeptVerdicts) -> None:
    """Store the rows of these keys, without the windows at their ends that have no data."""
    rows, v = list[tuple[Any, ...]](), decision_verdicts.c
    for row, key in enumerate(kept.keys):
        there = np.flatnonzero(kept.codes[row])
        if not len(there):
            connection.execute(decision_verdicts.delete().where(v.name == name, v.rule == rule, v.key == key))
            continue
        codes = kept.codes[row, there[0] : there[-1] + 1]
        ends = (int(kept.grid.starts[at]) for at in (there[0], there[-1]))
        rows.append((name, rule, key, *ends, zlib.compress(codes.tobytes(), 1)))
    database.write_rows(connection, database.overwrite(decision_verdicts), rows)


def windows_not_judged(
    connection: sa.Connection, name: str, rule: str, window: AnyWindow, after: int | None, last: int
) -> list[tuple[int, int]]:
    """The windows that start after one and by another, for which a key couldn't be judged."""
    kept = read_verdicts(connection, name, rule, window, None)
    starts = kept.grid.starts
    wanted = (kept.codes == Verdict.CANT_JUDGE).any(axis=0) & (starts <= last)
    if after is not None:
        wanted &= starts > after
    places = np.flatnonzero(wanted).tolist()
    return [(int(starts[place]), int(kept.grid.ends[place])) for place in places]


def drop_verdicts(connection: sa.Connection, name: str, rule: str) -> None:
    """Delete a rule's verdicts."""
    v = decision_verdicts.c
    connection.execute(decision_verdicts.delete().where(v.name == name, v.rule == rule))


def last_window(connection: sa.Connection, name: str, rule: str) -> int | None:
    """The start of the last window that has a verdict."""
    v = decision_verdicts.c
    found = connection.execute(sa.select(sa.func.max(v.last)).where(v.name == name, v.rule == rule)).scalar()
    return None if found is None else int(found)
