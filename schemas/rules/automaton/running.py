"""Episodes: runs of one key's verdicts, in the order of windows, with `for` and `keep_firing_for` as in Prometheus.

An alert fires at the first window at which the expression has held for `for`, and is resolved at the first at which it
has been recovered for `keep_firing_for`. Both count windows of event time, never evaluations. All keys are computed at
once, without a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["NEVER", "OPEN", "Codes", "Episodes", "Hysteresis", "Places", "Verdict", "episodes_of", "with_no_data"]

Codes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

OPEN: Final = -1
"""In the place of the window at which an episode is resolved: none yet."""
NEVER: Final = -(2**62)
"""In the place of a key's last window with data: it had none."""


class Verdict(IntEnum):
    """The verdict of one window and key."""

    NO_DATA = 0
    """It has no events, or too few."""
    OK = 1
    """The expression doesn't hold, and the rule's `recover` does, where it has one."""
    ACTIVE = 2
    """The expression holds."""
    BETWEEN = 3
    """Neither holds: a firing alert goes on, none begins."""
    CANT_JUDGE = 4
    """The expression is NULL, as without a baseline: it changes nothing."""


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many windows a condition must hold to fire and be over to resolve, and the verdict of windows without
    data.
    """

    to_fire: int = 1
    to_resolve: int = 1
    no_data: Verdict = Verdict.OK
    """The verdict of windows without data: OK, ACTIVE, or CANT_JUDGE to keep the alert's state."""
    forget: int = 2**40
    """The number of windows without data after which a key is OK."""


@dataclass(frozen=True, slots=True)
class Episodes:
    """One row an episode, by key, then time; numbers are rows and columns of the verdicts.

    >>> verdicts = np.array([[Verdict.OK, Verdict.ACTIVE, Verdict.ACTIVE, Verdict.OK, Verdict.OK]], np.uint8)
    >>> found = episodes_of(verdicts, Hysteresis(to_fire=2, to_resolve=2))
    >>> found.since.tolist(), found.fired.tolist(), found.resolved.tolist()
    ([1], [2], [4])
    """

    key: Places
    since: Places
    """The first window at which the expression held."""
    fired: Places
    """The window at which it had held for long enough."""
    last: Places
    """The last window before it recovered."""
    resolved: Places
    """The window at which it had been recovered for long enough; OPEN while it fires."""

    def __len__(self) -> int:
        return len(self.key)


def episodes_of(verdicts: Codes, hysteresis: Hysteresis) -> Episodes:
    """The episodes of verdicts: one row a key, one column a window of the grid, in order."""
    codes = with_no_data(verdicts, hysteresis)
    rows = np.flatnonzero((codes == Verdict.ACTIVE).any(axis=1))
    judged = _judged_of(codes[rows])
    runs = _runs(judged)
    fires, resolves = _turns(runs, hysteresis).T
    goes_on = resolves < 0
    last = np.where(goes_on, _last_active(runs, fires), runs.starts[resolves] - 1)
    at_resolve = np.where(goes_on, 0, runs.starts[resolves] + hysteresis.to_resolve - 1)
    key = runs.keys[fires]
    return Episodes(
        rows[key],
        judged.columns(runs.starts[fires], key),
        judged.columns(runs.starts[fires] + hysteresis.to_fire - 1, key),
        judged.columns(last, key),
        np.where(goes_on, OPEN, judged.columns(at_resolve, key)),
    )


def with_no_data(verdicts: Codes, hysteresis: Hysteresis, before: Places | None = None) -> Codes:
    """The verdicts, with NO_DATA replaced as the rule says.

    Windows before a key's first with data change nothing; those of a forgotten key are OK. `before`: by row the column,
    a negative number, of the last window with data that lies before these; NEVER without one.
    """
    missing = verdicts == Verdict.NO_DATA
    if not missing.any():
        return verdicts
    if hysteresis.no_data == Verdict.OK:
        return np.where(missing, np.uint8(Verdict.OK), verdicts)
    columns = np.arange(verdicts.shape[1], dtype=np.int64)
    seen = np.maximum.accumulate(np.where(missing, np.int64(NEVER), columns), axis=1)
    if before is not None:
        seen = np.maximum(seen, before[:, None])
    codes = np.where(missing, np.uint8(hysteresis.no_data), verdicts)
    codes[missing & (columns - seen > hysteresis.forget)] = Verdict.OK
    codes[missing & (seen == NEVER)] = Verdict.CANT_JUDGE
    return codes


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdicts that change anything, key by key."""

    codes: Codes
    first: Places
    """The index of each key's first."""
    places: Places | None
    """The place of each in the flattened verdicts; None where all are kept."""
    width: int

    def columns(self, at: Places, keys: Places) -> Places:
        """The columns of some of them, which belong to these keys."""
        if not len(keys):
            return keys
        return (at if self.places is None else self.places[at]) - keys * self.width


def _judged_of(codes: Codes) -> _Judged:
    height, width = codes.shape
    flat = np.ascontiguousarray(codes).ravel()
    kept = flat != Verdict.CANT_JUDGE
    if kept.all():
        return _Judged(flat, np.arange(height, dtype=np.int64) * width, None, width)
    counts = np.count_nonzero(kept.reshape(codes.shape), axis=1)
    places = np.flatnonzero(kept)
    return _Judged(flat[places], (np.cumsum(counts) - counts).astype(np.int64), places, width)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Maximal runs of equal verdicts of one key."""

    codes: Codes
    keys: Places
    starts: Places
    lengths: Places
    ends: Places


def _runs(judged: _Judged) -> _Runs:
    codes, size = judged.codes, len(judged.codes)
    if not size:
        nothing = np.zeros(0, np.int64)
        return _Runs(codes, nothing, nothing, nothing, nothing)
    begins = np.empty(size, bool)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:])
    begins[judged.first[judged.first < size]] = True
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], size) - 1
    keys = np.searchsorted(judged.first, starts, side="right") - 1
    return _Runs(codes[starts], keys, starts, ends - starts + 1, ends)


def _turns(runs: _Runs, hysteresis: Hysteresis) -> Places:
    """(run that fires, run that resolves it or -1) of each episode, among runs that are long enough."""
    fires = (runs.codes == Verdict.ACTIVE) & (runs.lengths >= hysteresis.to_fire)
    resolves = (runs.codes == Verdict.OK) & (runs.lengths >= hysteresis.to_resolve)
    turning = np.flatnonzero(fires | resolves)
    up, owner = fires[turning], runs.keys[turning]
    before = np.zeros(len(turning), bool)
    before[1:] = up[:-1] & (owner[1:] == owner[:-1])
    turns = up != before
    turning, up, owner = turning[turns], up[turns], owner[turns]
    first = np.flatnonzero(up)
    following = np.minimum(first + 1, max(len(turning) - 1, 0))
    ended = (following > first) & (owner[following] == owner[first])
    return np.stack([turning[first], np.where(ended, turning[following], -1)], axis=1)


def _last_active(runs: _Runs, fires: Places) -> Places:
    """The key's last verdict that isn't OK, of episodes that go on."""
    if not len(fires):
        return fires
    last = np.searchsorted(runs.keys, runs.keys[fires], side="right") - 1
    return np.where(runs.codes[last] == Verdict.OK, runs.starts[last] - 1, runs.ends[last])
