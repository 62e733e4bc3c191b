"""Streams all answers, or those of a key, a span, or a condition, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Final

from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.windows import CalendarWindow, CumulativeWindow, SessionWindow
from tandem.serving.questions.selection.naming import asked_key
from tandem.serving.questions.selection.selecting import Condition, Found, asked_results, condition_of
from tandem.serving.questions.selection.spans import TimeFlags, check_zone, duration_of, named_window, span_of
from tandem.views.answers.all_steps import AnswerRow, all_answers
from tandem.views.answers.session_rows import all_sessions

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.serving.questions.answers.asking import SelectFlags
    from tandem.views.store import ViewStore

__all__ = ["Export", "export_of", "exported"]

_AT_ONCE: Final = 10_000
"""Rows that are filtered, and written, at a time."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export of one definition."""

    compiled: CompiledDefinition
    step: int | Calendar | SessionWindow
    """Microseconds or the periods of a calendar; sessions, of a session window."""
    key: str | None
    """Canonical; None for all keys."""
    span: tuple[int, int] | None
    """[start, end) in microseconds UTC; None for all times."""
    results: tuple[str, ...]
    where: Condition | None
    zone: str
    """The zone of written times."""
    visible: Callable[[str], bool] | None = None
    """Whether the caller may see a key (canonical); None for all."""
    after: tuple[str, int] | None = None
    """(key, start) of the row that the first one follows; None to begin with the first."""
    batch: bool = False
    """Whether to export batch alone, without live."""


def export_of(compiled: CompiledDefinition, times: TimeFlags, select: SelectFlags) -> Export:
    """The export of a user's input: `times` has step or window, span and zone. Raises UserError."""
    definition = compiled.definition
    check_zone(definition, times)
    step = _step(compiled, times)
    span = None
    if times.start is not None or times.end is not None:
        found = span_of(definition, TimeFlags(times.now, start=times.start, end=times.end, zone=times.zone))
        span = found.start, found.end
    key = asked_key(compiled, select.key) if select.key is not None else None
    results, where = asked_results(compiled, select.measures), condition_of(compiled, select.where)
    return Export(compiled, step, key, span, results, where, times.zone or "UTC")


def _step(compiled: CompiledDefinition, times: TimeFlags) -> int | Calendar | SessionWindow:
    definition = compiled.definition
    if times.window is None:
        return duration_of(times.step, "--step") if times.step is not None else definition.tile
    if times.step is not None:
        raise UserError("--step and --window exclude each other; give one or the other")
    window = named_window(definition, times.window, times)
    if isinstance(window, SessionWindow):
        return window
    if isinstance(window, CalendarWindow):
        return window.periods
    if isinstance(window, CumulativeWindow) or window.every != window.size:
        raise UserError(
            f"--window {times.window} overlaps itself; what is exported is every event once: steps, calendars, sessions"
        )
    return window.size


def exported(store: ViewStore, export: Export) -> Iterator[list[AnswerRow]]:
    """The matching rows, in the order of key, then time, all of one instant; some thousands at a time."""
    compiled, step = export.compiled, export.step
    if isinstance(step, SessionWindow):
        rows = all_sessions(store, compiled, step.gap, key=export.key, span=export.span)
    else:
        first_key = export.after[0] if export.after is not None else None
        rows = all_answers(
            store, compiled, step, key=export.key, span=export.span, first_key=first_key, batch=export.batch
        )
    rows = _asked_for(export, rows)
    while some := list(islice(rows, _AT_ONCE)):
        if export.where is not None:
            holds = export.where.holds([Found(row.key, row.events, row.results) for row in some])
            some = [row for row, fits in zip(some, holds, strict=True) if fits]
        if some:
            yield some


def _asked_for(export: Export, rows: Iterator[AnswerRow]) -> Iterator[AnswerRow]:
    """The rows that the caller may see, after the previous page."""
    visible, after = export.visible, export.after
    if visible is not None:
        rows = (row for row in rows if visible(row.key))
    if after is not None:
        rows = dropwhile(lambda row: (row.key, row.start) <= after, rows)
    return rows
