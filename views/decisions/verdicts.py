"""Verdicts of some keys of a rule, a byte for each window of a grid, and what stands before them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tandem.schemas.rules.automaton import Codes, Standing, Verdict
from tandem.schemas.time.windows import AnyWindow
from tandem.views.decisions.judging import JudgedWindow
from tandem.views.decisions.windows import WindowGrid, grid_of
from tandem.views.results.clocks import BEGINNING

__all__ = ["NO_WINDOWS", "KeptVerdicts"]

NO_WINDOWS: Final = WindowGrid(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass
class KeptVerdicts:
    """The verdicts of some keys of a rule: a row for each key, a column for each window of the grid."""

    keys: list[str]
    grid: WindowGrid
    codes: Codes
    since: int = BEGINNING
    """The time from which on these are all windows; BEGINNING: none lies before them."""
    before: dict[int, dict[str, Standing]] = field(default_factory=dict)
    """By part of time (its start) and key what stands before it."""
    rows: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {key: row for row, key in enumerate(self.keys)}

    @property
    def standings(self) -> dict[int, Standing]:
        """By row what stands before all of these."""
        return {self.rows[key]: each for key, each in self.before.get(self.since, {}).items()}

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
            return KeptVerdicts(list(self.keys), self.grid, self.codes.copy(), self.since, _of_keys(self.before))
        wanted = sorted(keys)
        rows = np.array([self.rows.get(key, -1) for key in wanted], np.int64)
        codes = self.codes[rows] if len(self.keys) else np.zeros((len(wanted), len(self.grid)), np.uint8)
        codes[rows < 0] = Verdict.NO_DATA
        return KeptVerdicts(wanted, self.grid, codes, self.since, _of_keys(self.before, wanted))

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
        return KeptVerdicts([*self.keys, *new], grid, codes, self.since, self.before)

    def with_rows(self, window: AnyWindow, rows: KeptVerdicts) -> KeptVerdicts:
        """The same with the verdicts of some keys replaced; `rows` has all windows of the grid. Takes over the rows."""
        grid = rows.grid
        kept = self.widened(window, rows.keys, (grid.starts[[0, -1]] if len(grid) else grid.starts).tolist())
        kept.codes[[kept.rows[key] for key in rows.keys]] = rows.codes
        for part in rows.before:
            known = kept.before.setdefault(part, {})
            for key in rows.keys:
                known.pop(key, None)
            known |= rows.before[part]
        return kept

    def from_part(self, since: int) -> KeptVerdicts:
        """The verdicts from a later part on, of the keys that have any there, or of which something stands before."""
        at, before = int(np.searchsorted(self.grid.starts, since)), self.before.get(since, {})
        there = {*np.flatnonzero(self.codes[:, at:].any(axis=1)).tolist()}
        rows = [row for row, key in enumerate(self.keys) if row in there or key in before]
        grid = WindowGrid(self.grid.starts[at:], self.grid.ends[at:])
        later = {part: known for part, known in self.before.items() if part >= since}
        return KeptVerdicts([self.keys[row] for row in rows], grid, self.codes[rows, at:], since, later)

    def _grid_with(self, window: AnyWindow, starts: Iterable[int]) -> WindowGrid:
        known = self.grid.starts
        wanted = [*starts, *known[[0, -1]].tolist()] if len(known) else [*starts]
        if not wanted:
            return self.grid
        first = min(wanted) if self.since == BEGINNING else self.since
        if len(known) and known[0] == min(wanted) and max(wanted) == known[-1]:
            return self.grid
        return grid_of(window, first, max(wanted))

    def not_judged(self, after: int | None, last: int) -> list[tuple[int, int]]:
        """The windows that start after one and by another, for which a key couldn't be judged."""
        starts = self.grid.starts
        wanted = (self.codes == Verdict.CANT_JUDGE).any(axis=0) & (starts <= last)
        if after is not None:
            wanted &= starts > after
        places = np.flatnonzero(wanted).tolist()
        return [(int(starts[place]), int(self.grid.ends[place])) for place in places]


def _of_keys(
    before: dict[int, dict[str, Standing]], keys: Iterable[str] | None = None
) -> dict[int, dict[str, Standing]]:
    """What stands before parts, of some keys or of all."""
    if keys is None:
        return {part: dict(known) for part, known in before.items()}
    wanted = [*keys]
    return {part: {key: known[key] for key in wanted if key in known} for part, known in before.items()}
