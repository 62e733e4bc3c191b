"""The state of a key's automaton between two windows: with it, episodes of later windows need no earlier verdicts.

What a key's verdicts before a window mean for those after it is little: whether it fires and since when, for how many
windows its condition has held or been over, and when it last had data. Verdicts that mean the same stand before the
later ones, and the automaton runs over both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tandem.schemas.rules.automaton.running import (
    NEVER,
    OPEN,
    Codes,
    Episodes,
    Hysteresis,
    Places,
    Verdict,
    episodes_of,
    with_no_data,
)

__all__ = ["Spell", "Standing", "episodes_after", "standings_after"]

Spell = tuple[int, int, int, int | None]
"""(since, fired, last, resolved) of an episode, as starts of windows; see `Episodes`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a key's verdicts so far mean for later windows; times are starts of windows. A key without one neither
    fires nor is about to, and no window without data changes that.
    """

    held: int = 0
    """The number of windows for which the condition has held without firing yet, or been over without resolving."""
    since: int | None = None
    """The first of the windows at which it has held; None where it doesn't."""
    fired: int | None = None
    """The window at which the key's alert fired; None while it doesn't fire."""
    last: int | None = None
    """The last window before the alert began to recover."""
    gap: int | None = None
    """The number of windows without data since the last with data; None without any, and where it makes no
    difference.
    """


def episodes_after(
    verdicts: Codes, standings: Mapping[int, Standing], starts: npt.NDArray[np.int64], hysteresis: Hysteresis
) -> dict[int, list[Spell]]:
    """By row the episodes that these verdicts belong to, in order.

    `standings`: by row what stood before the first of them. `starts`: of the windows.
    """
    codes = with_no_data(verdicts, hysteresis, _last_data(standings, len(verdicts)))
    return _episodes(codes, standings, starts, hysteresis)


def standings_after(
    verdicts: Codes, standings: Mapping[int, Standing], starts: npt.NDArray[np.int64], hysteresis: Hysteresis
) -> dict[int, Standing]:
    """By row what stands after these verdicts; arguments as for `episodes_after`."""
    before = _last_data(standings, len(verdicts))
    codes = with_no_data(verdicts, hysteresis, before)
    last = {row: spells[-1] for row, spells in _episodes(codes, standings, starts, hysteresis).items()}
    gaps = _gaps(verdicts, before, hysteresis)
    rows = {*last, *standings, *_holding(codes), *(np.flatnonzero(gaps >= 0).tolist() if _alarms(hysteresis) else ())}
    found = dict[int, Standing]()
    for row in sorted(rows):
        spell = last.get(row)
        firing = spell if spell is not None and spell[3] is None else None
        gap = int(gaps[row]) if gaps[row] >= 0 else None
        made = _standing(codes[row], standings.get(row, Standing()), firing, starts, gap)
        if made.held or made.fired is not None or (_alarms(hysteresis) and gap is not None and gap < hysteresis.forget):
            found[row] = made
    return found


def _standing(
    codes: Codes, before: Standing, firing: Spell | None, starts: npt.NDArray[np.int64], gap: int | None
) -> Standing:
    """What stands after the verdicts of one row."""
    awaited = Verdict.ACTIVE if firing is None else Verdict.OK
    judged = np.flatnonzero(codes != Verdict.CANT_JUDGE)
    others = np.flatnonzero(codes[judged] != awaited)
    begin = int(others[-1]) + 1 if len(others) else 0
    goes_on = not len(others) and before.held > 0
    held = len(judged) - begin + (before.held if goes_on else 0)
    if firing is not None:
        return Standing(held, *firing[:3], gap)
    since = before.since if goes_on else int(starts[judged[begin]]) if held else None
    return Standing(held, since, gap=gap)


def _episodes(
    codes: Codes, standings: Mapping[int, Standing], starts: npt.NDArray[np.int64], hysteresis: Hysteresis
) -> dict[int, list[Spell]]:
    """The episodes of verdicts without NO_DATA: of rows where nothing stood before them, then of the others."""
    found = dict[int, list[Spell]]()
    led = sorted(row for row, each in standings.items() if each.held or each.fired is not None)
    others = np.setdiff1d(np.arange(len(codes)), led) if led else np.arange(len(codes))
    for row, since, fired, last, resolved in _rows(episodes_of(codes[others] if led else codes, hysteresis)):
        ended = None if resolved == OPEN else int(starts[resolved])
        spell = (int(starts[since]), int(starts[fired]), int(starts[last]), ended)
        found.setdefault(int(others[row]), []).append(spell)
    if led:
        found |= _led_episodes(codes[led], led, [standings[row] for row in led], starts, hysteresis)
    return found


def _led_episodes(
    codes: Codes,
    rows: Sequence[int],
    standings: Sequence[Standing],
    starts: npt.NDArray[np.int64],
    hysteresis: Hysteresis,
) -> dict[int, list[Spell]]:
    """The episodes of rows before which something stood; what lies before the first window is known by its time."""
    lead, found = _lead(standings, hysteresis), dict[int, list[Spell]]()
    width = lead.shape[1]

    def time(column: int, before: int | None) -> int:
        if column >= width:
            return int(starts[column - width])
        assert before is not None
        return before

    for row, since, fired, last, resolved in _rows(episodes_of(np.hstack([lead, codes]), hysteresis)):
        each = standings[row]
        ended = None if resolved == OPEN else time(resolved, None)
        spell = (time(since, each.since), time(fired, each.fired), time(last, each.last), ended)
        found.setdefault(rows[row], []).append(spell)
    return found


def _rows(made: Episodes) -> Sequence[tuple[int, int, int, int, int]]:
    columns = (made.key, made.since, made.fired, made.last, made.resolved)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _lead(standings: Sequence[Standing], hysteresis: Hysteresis) -> Codes:
    """By row the shortest verdicts after which these stand."""
    made = list[list[Verdict]]()
    for each in standings:
        if each.fired is None:
            made.append([Verdict.ACTIVE] * each.held)
        else:
            made.append([Verdict.ACTIVE] * hysteresis.to_fire + [Verdict.OK] * each.held)
    lead = np.full((len(made), max(map(len, made))), Verdict.CANT_JUDGE, np.uint8)
    for row, codes in enumerate(made):
        lead[row, lead.shape[1] - len(codes) :] = codes
    return lead


def _last_data(standings: Mapping[int, Standing], height: int) -> Places:
    """By row the column of the last window with data before the first column, as `with_no_data` takes it."""
    found = np.full(height, NEVER, np.int64)
    for row, each in standings.items():
        if each.gap is not None:
            found[row] = -1 - each.gap
    return found


def _gaps(verdicts: Codes, before: Places, hysteresis: Hysteresis) -> Places:
    """By row the number of windows without data at the end; -1 without any data, or where it makes no difference."""
    height, width = verdicts.shape
    if hysteresis.no_data == Verdict.OK:
        return np.full(height, -1, np.int64)
    columns = np.where(verdicts == Verdict.NO_DATA, np.int64(NEVER), np.arange(width, dtype=np.int64))
    seen = np.maximum(columns.max(axis=1, initial=NEVER), before)
    return np.where(seen == NEVER, np.int64(-1), width - 1 - seen)


def _holding(codes: Codes) -> list[int]:
    """The rows whose last verdict that says anything is that the condition holds."""
    if not codes.size:
        return []
    judged = codes[:, ::-1] != Verdict.CANT_JUDGE
    last = codes.shape[1] - 1 - judged.argmax(axis=1)
    found: list[int] = np.flatnonzero(codes[np.arange(len(codes)), last] == Verdict.ACTIVE).tolist()
    return found


def _alarms(hysteresis: Hysteresis) -> bool:
    """Whether windows without data can begin an alert."""
    return hysteresis.no_data == Verdict.ACTIVE
