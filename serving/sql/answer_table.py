"""`answers('clicks', '1h')`: the merged answers of every key and step of any window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tandem.schemas.errors import UserError
from tandem.schemas.keys import key_dictionary
from tandem.schemas.time.calendars import PERIODS, Calendar
from tandem.schemas.time.windows import SessionWindow
from tandem.serving.questions.answers.asking import SelectFlags
from tandem.serving.questions.exports.forms import arrow_batch, arrow_schema
from tandem.serving.questions.exports.rows import Export, export_of, exported
from tandem.serving.questions.selection.spans import TimeFlags
from tandem.serving.sql.relation import Reading, Relation

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.serving.sql.bounds import Bounds
    from tandem.serving.sql.source import SqlSource
    from tandem.serving.sql.statements import Asked

__all__ = ["answer_table", "asked_key_of"]

_FIRST, _LAST = -(2**61), 2**61
"""Times beyond every tile; far enough from the ends of 64 bits to add to them."""


def answer_table(source: SqlSource, asked: Asked, reading: Reading) -> Relation:
    """One row for each key and step with events, as in `tandem export`. Raises UserError for another window."""
    compiled = source.compiled(asked.definition)
    window = asked.window
    is_step = window is not None and window not in compiled.definition.windows and window not in PERIODS
    times = TimeFlags(
        0,
        window=None if is_step else window,
        step=window if is_step else None,
        zone=asked.zone,
        first_day=asked.first_day,
    )
    export = replace(export_of(compiled, times, SelectFlags()), zone="UTC", visible=source.visible(asked.definition))

    def read(bounds: Bounds, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        wanted = _within(export, bounds)
        if wanted is not None:
            for rows in exported(source.store, wanted):
                yield arrow_batch(wanted, rows)

    return Relation(arrow_schema(export), read, reading)


def _within(export: Export, bounds: Bounds) -> Export | None:
    """The export that covers all rows within bounds; None if there can't be any."""
    found = replace(export, key=asked_key_of(export.compiled, bounds.equal))
    if isinstance(export.step, SessionWindow):
        return found
    start, end = arrow_schema(export).names[len(export.compiled.key_fields) :][:2]
    low = max(bounds.lowest.get(start, _FIRST), _FIRST)
    high = min(bounds.highest.get(start, _LAST), bounds.highest.get(end, _LAST), _LAST)
    if end in bounds.lowest and isinstance(export.step, int):
        low = max(low, bounds.lowest[end] - export.step)
    if low > high:
        return None
    if (low, high) == (_FIRST, _LAST):
        return found
    return replace(found, span=_whole_steps(export.step, export.compiled.definition.tile, low, high))


def _whole_steps(step: int | Calendar, tile: int, low: int, high: int) -> tuple[int, int]:
    """[start, end) of the steps, and of tiles, that contain two instants: a span that cuts no step."""
    if isinstance(step, Calendar):
        low, high, step = _period(step, low)[0], _period(step, high)[1], tile
    return low // step * step, (high // step + 1) * step


def _period(calendar: Calendar, at: int) -> tuple[int, int]:
    """The period of an instant; all time where the calendar doesn't reach it."""
    try:
        return calendar.span_about(at)
    except (UserError, OverflowError):
        return _FIRST, _LAST


def asked_key_of(compiled: CompiledDefinition, equal: Mapping[str, Any]) -> str | None:
    """The canonical key of values for all columns of the key; None where one is missing."""
    fields = compiled.key_fields
    if not fields or any(field.name not in equal for field in fields):
        return None
    return str(key_dictionary([pa.array([equal[f.name]], f.type) for f in fields], 1)[0].as_py())
