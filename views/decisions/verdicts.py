"""Stored verdicts: one row by rule and key, a byte for each window of the grid."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.time.windows import AnyWindow
from tandem.views.decisions.judging import JudgedWindow
from tandem.views.decisions.tables import decision_verdicts
from tandem.views.decisions.windows import WindowGrid, grid_of
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import whole_rows

__all__ = [
    "KeptVerdicts",
    "StoredVerdicts",
    "drop_verdicts",
    "last_window",
    "on_grid",
    "stored_verdicts",
    "write_verdicts",
]

_IN_ONE: Final = 400


class StoredVerdicts(NamedTuple):
    """The verdicts of a key as they are stored."""

    first: int
    """The start of the first window, microseconds UTC."""
    last: int
    codes: bytes
    """A byte for each window from the first to the last, packed by zlib."""


@dataclass
class KeptVerdicts:
    """The verdicts of some keys of a rule: a row for each key, a column for each window of the grid."""

    keys: list[str]
    grid: WindowGrid
    codes: Codes
    rows: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {key: row for row, key in enumerate(self.keys)}

    def put(self, window: JudgedWindow, keys: set[str] | None) -> list[int]:
        """Set the verdicts of some keys, or of all; keys that no longer have events get the window's `absent` verdict.

        Returns the rows whose verdict is another now.
        """
        column = self.codes[:, self.grid.place(window.start)]
        before = column.copy()
        if keys is None:
            column[:] = window.absent
        else:
            column[[self.rows[key] for key in keys if key not in window.places]] = window.absent
        column[[self.rows[key] for key in window.places]] = window.codes
        return np.flatnonzero(before != column).tolist()

    def part(self, keys: Iterable[str] | None) -> KeptVerdicts:
        """A copy of the rows of some keys, or of all; keys without verdicts have rows without data."""
        if keys is None:
            return KeptVerdicts(list(self.keys), self.grid, self.codes.copy())
        wanted = sorted(keys)
        rows = np.array([self.rows.get(key, -1) for key in wanted], np.int64)
        codes = self.codes[rows] if len(self.keys) else np.zeros((len(wanted), len(self.grid)), np.uint8)
        codes[rows < 0] = Verdict.NO_DATA
        return KeptVerdicts(wanted, self.grid, codes)

    def widened(self, window: AnyWindow, keys: Iterable[str], starts: Iterable[int]) -> KeptVerdicts:
        """The same with rows for these keys too, on a grid that holds these windows too."""
        new = sorted(key for key in {*keys} if key not in self.rows)
        grid, at = self._grid_with(window, starts), 0
        if not new and grid is self.grid:
            return self
        codes = np.zeros((len(self.keys) + len(new), len(grid)), np.uint8)
        if len(self.grid):
            at = grid.place(int(self.grid.starts[0]))
        codes[: len(self.keys), at : at + len(self.grid)] = self.codes
        return KeptVerdicts([*self.keys, *new], grid, codes)

    def with_rows(self, window: AnyWindow, rows: KeptVerdicts) -> KeptVerdicts:
        """The same with the verdicts of some keys replaced; `rows` has all windows of the grid. Takes over the rows."""
        grid = rows.grid
        kept = self.widened(window, rows.keys, (grid.starts[[0, -1]] if len(grid) else grid.starts).tolist())
        kept.codes[[kept.rows[key] for key in rows.keys]] = rows.codes
        return kept

    def _grid_with(self, window: AnyWindow, starts: Iterable[int]) -> WindowGrid:
        wanted = [*starts]
        known = self.grid.starts
        if not wanted or (len(known) and known[0] <= min(wanted) and max(wanted) <= known[-1]):
            return self.grid
        wanted += [int(known[0]), int(known[-1])] if len(known) else []
        return grid_of(window, min(wanted), max(wanted))

    def last(self) -> int | None:
        """The start of the last window that has a verdict."""
        for column in range(len(self.grid) - 1, -1, -1):
            if self.codes[:, column].any():
                return int(self.grid.starts[column])
        return None

    def not_judged(self, after: int | None, last: int) -> list[tuple[int, int]]:
        """The windows that start after one and by another, for which a key couldn't be judged."""
        starts = self.grid.starts
        wanted = (self.codes == Verdict.CANT_JUDGE).any(axis=0) & (starts <= last)
        if after is not None:
            wanted &= starts > after
        places = np.flatnonzero(wanted).tolist()
        return [(int(starts[place]), int(self.grid.ends[place])) for place in places]


def stored_verdicts(
    connection: sa.Connection, name: str, rule: str, keys: Sequence[str] | None = None
) -> dict[str, StoredVerdicts]:
    """The stored verdicts of some keys, or of all."""
    if keys is None:
        rows = whole_rows(connection, decision_verdicts, _OF_RULE, {"name": name, "rule": rule})
        return {row[2]: StoredVerdicts(*row[3:]) for row in rows}
    v, found = decision_verdicts.c, dict[str, StoredVerdicts]()
    mine = sa.select(v.key, v.first, v.last, v.codes).where(v.name == name, v.rule == rule)
    for at in range(0, len(keys), _IN_ONE):
        for key, *stored in connection.execute(mine.where(v.key.in_(keys[at : at + _IN_ONE]))):
            found[key] = StoredVerdicts(*stored)
    return found


_OF_RULE: Final = sa.text("SELECT * FROM decision_verdicts WHERE name = :name AND rule = :rule")


def on_grid(stored: Mapping[str, StoredVerdicts], window: AnyWindow, keys: Sequence[str] | None = None) -> KeptVerdicts:
    """The verdicts of some keys, or of all stored ones, on one grid."""
    wanted = sorted({*(stored if keys is None else keys)})
    mine = {key: stored[key] for key in wanted if key in stored}
    starts = [start for each in mine.values() for start in (each.first, each.last)]
    if not starts:
        nothing = np.zeros(0, np.int64)
        return KeptVerdicts(wanted, WindowGrid(nothing, nothing), np.zeros((len(wanted), 0), np.uint8))
    grid = grid_of(window, min(starts), max(starts))
    codes = np.zeros((len(wanted), len(grid)), np.uint8)
    firsts = dict(zip(mine, np.searchsorted(grid.starts, [each.first for each in mine.values()]).tolist(), strict=True))
    for at, key in enumerate(wanted):
        if key in mine:
            kept = np.frombuffer(zlib.decompress(mine[key].codes), np.uint8)
            codes[at, firsts[key] : firsts[key] + len(kept)] = kept
    return KeptVerdicts(wanted, grid, codes)


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


def drop_verdicts(connection: sa.Connection, name: str, rule: str) -> None:
    """Delete a rule's verdicts."""
    v = decision_verdicts.c
    connection.execute(decision_verdicts.delete().where(v.name == name, v.rule == rule))


def last_window(stored: Mapping[str, StoredVerdicts]) -> int | None:
    """The start of the last window that has a verdict."""
    return max((each.last for each in stored.values()), default=None)
