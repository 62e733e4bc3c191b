"""Checks results of a definition against its tile, its lateness, its measures and a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.result_windows.models import Result
from tandem.schemas.time.durations import DAY, SECOND, format_duration
from tandem.schemas.time.windows import CalendarWindow, CumulativeWindow, window_problems

__all__ = ["EVENTS_NAME", "MOST_STATES", "mode_problems", "result_problems", "states_a_second", "table_problems"]

MOST_STATES: Final = 200_000
"""Most states that results may merge a second: about what one core reads and merges beside everything else."""
EVENTS_NAME: Final = "events"
"""The name of the number of events in `where`, unless a result has it."""
_LEAST_EARLY: Final = SECOND // 10
_DAYS: Final = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def result_problems(result: Result, tile: int, lateness: int) -> Iterator[tuple[str, str]]:
    """(field, message) of each mistake in a result over tiles of `tile` microseconds; `lateness`: of the definition."""
    if isinstance(result.window, CumulativeWindow):
        yield (
            "window.since",
            "such a window ends when it is asked for, so nothing can be on time: use another, or query it",
        )
        return
    broken = False
    for part, message in window_problems(result.window, tile):
        broken = True
        yield f"window.{part}", message
    if not broken:
        yield from _trigger_problems(result, lateness)
        yield from _budget_problems(result, tile)


def table_problems(results: Mapping[str, Result]) -> Iterator[tuple[str, str]]:
    """(result, message) of results that share a table, whose columns are those of one of them."""
    known: dict[str, str] = {}
    for name, result in results.items():
        for output in result.to:
            other = known.setdefault(output.bigquery, name) if output.bigquery is not None else name
            if other != name:
                yield name, f"{output.bigquery} is the table of {other} already; each result has a table of its own"


def _trigger_problems(result: Result, lateness: int) -> Iterator[tuple[str, str]]:
    early, late, own = result.trigger.early, result.trigger.late, result.lateness_of(lateness)
    if early is not None and early < _LEAST_EARLY:
        yield "trigger.early", f"{format_duration(early)} is too short; at least {format_duration(_LEAST_EARLY)}"
    if early is not None and result.overlap is not None and early > result.overlap[0]:
        size = format_duration(result.overlap[0])
        yield "trigger.early", f"{format_duration(early)} is longer than the window, {size}: nothing would be early"
    if own < lateness:
        yield (
            "lateness",
            f"{format_duration(own)} is shorter than the definition's, {format_duration(lateness)}: results would be "
            "final while live still takes events in",
        )
    if isinstance(late, int) and late > own:
        yield (
            "trigger.late",
            f"{format_duration(late)} is longer than the lateness, {format_duration(own)}: it would never come before "
            "the final result; write never, or a longer lateness",
        )


def states_a_second(result: Result, tile: int) -> float:
    """The most states that a result merges a second: overlap x keys x rate."""
    if result.is_session:
        return 0.0  # by the events of the key alone
    size, every = result.overlap or (_period(result), _period(result))
    often = SECOND / every + (SECOND / result.trigger.early if result.trigger.early else 0)
    return result.keys * (size / tile) * often


def _period(result: Result) -> int:
    assert isinstance(result.window, CalendarWindow)
    return _DAYS[result.window.calendar] * DAY


def _budget_problems(result: Result, tile: int) -> Iterator[tuple[str, str]]:
    needed = states_a_second(result, tile)
    if needed > MOST_STATES:
        yield (
            "window",
            f"about {needed:,.0f} states a second would be merged for {result.keys:,} keys, at most {MOST_STATES:,}: "
            "use longer tiles, a longer step or a longer `early`, or say with `keys` that there are fewer",
        )


def mode_problems(result: Result, measures: Sequence[tuple[str, Measure]]) -> Iterator[tuple[str, str]]:
    """(field, message) of mistakes in a mode: only values that add exactly can be sent as differences."""
    if result.mode != "discarding":
        return
    if result.is_session:
        yield "mode", "sessions grow together, which differences can't say: use accumulating or retracting"
        return
    for name, measure in measures:
        if isinstance(measure, Count):
            continue
        if isinstance(measure, Sum) and (pa.types.is_integer(measure.type) or pa.types.is_decimal(measure.type)):
            continue
        yield (
            "mode",
            f"discarding sends differences, which are exact for counts and for sums of integers and decimals; '{name}' "
            "is neither: use accumulating or retracting",
        )
        return
