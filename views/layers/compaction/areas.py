"""Selects the files and rows of a prefix that are worth joining, by spans of days that no file crosses.

A file that is large beside all that lies above it stays: joining it would cost more than it saves. So a row is
rewritten a few times in its life, not at every compaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from tandem.schemas.time.durations import DAY
from tandem.views.batch.chains import Chain
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.cutting import FILE_ROWS, GROUPS, Part, Slot, month_of, parts_of
from tandem.views.layers.reading import LayerFile
from tandem.views.storage.tables import batch_states

__all__ = ["ROW_BYTES", "Area", "areas_of"]

_LARGE: Final = 4
"""A file stays when it has this many times the rows of all smaller ones in its days and buckets."""
_SMALL: Final = FILE_ROWS // 4
"""Files of fewer rows are joined with those of adjacent days."""
ROW_BYTES: Final = 100
"""Bytes of a row in a file, about."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one day in the database."""

    day: int
    run: int
    rows: int
    """Only those with events."""


@dataclass(frozen=True, slots=True)
class Area:
    """Files and rows that are joined at once: those of the days from `first_day` to `last_day`, of all keys."""

    first_day: int
    last_day: int
    files: tuple[LayerFile, ...]
    stored: tuple[Stored, ...]
    covered: bool
    """Whether other files of the prefix lie here: rows of theirs that were hidden must stay hidden."""

    @property
    def rows(self) -> int:
        """Number of rows to read."""
        return sum(file.rows for file in self.files) + sum(each.rows for each in self.stored)

    @property
    def size(self) -> int:
        """Bytes of the new files, about: extra disk until the old ones go."""
        return sum(file.size for file in self.files) + sum(each.rows for each in self.stored) * ROW_BYTES

    @property
    def runs(self) -> list[int]:
        """The batch runs that have rows in the database in these days."""
        return sorted({each.run for each in self.stored})

    def parts(self) -> dict[Slot, Part]:
        """The new file of each slot, as if each file's rows were spread evenly over its days and buckets."""
        states: dict[Slot, int] = {}
        for file in self.files:
            first, last = file.first_tile // DAY, file.last_tile // DAY
            for day in range(first, last + 1):
                _add(states, day, file.rows // (last - first + 1) + 1)
        for each in self.stored:
            _add(states, each.day, each.rows)
        return parts_of(states)

    @property
    def newest(self) -> int:
        """The newest batch run of its files and rows."""
        return max([*(file.ordinal for file in self.files), *(each.run for each in self.stored)])


def _add(states: dict[Slot, int], day: int, rows: int) -> None:
    for group in range(GROUPS):
        states[day, group] = states.get((day, group), 0) + rows // GROUPS + 1


def areas_of(connection: sa.Connection, definition: int, prefix: Chain, *, everything: bool = False) -> list[Area]:
    """The areas of a prefix that are worth joining, by time; `everything`: large files too."""
    months: dict[tuple[int, int], tuple[list[LayerFile], list[Stored]]] = {}
    for file in layer_files(connection, definition, prefix):
        months.setdefault(month_of(_days(file)[0]), ([], []))[0].append(file)
    for stored in _stored(connection, definition, prefix):
        months.setdefault(month_of(stored.day), ([], []))[1].append(stored)
    return [area for _, found in sorted(months.items()) for area in _of_month(*found, everything=everything)]


def _stored(connection: sa.Connection, definition: int, prefix: Chain) -> Iterator[Stored]:
    s = batch_states.c
    day = (s.tile - ((s.tile % DAY) + DAY) % DAY).label("day")
    counted = sa.func.sum(sa.case((s.events > 0, 1), else_=0))
    query = sa.select(s.batch_run, day, counted).where(s.definition == definition).group_by(s.batch_run, day)
    for run, start, rows in connection.execute(query):
        if run in prefix:
            yield Stored(start // DAY, run, int(rows))


def _days(file: LayerFile) -> tuple[int, int]:
    return file.first_tile // DAY, file.last_tile // DAY


def _of_month(files: Sequence[LayerFile], stored: Sequence[Stored], *, everything: bool) -> Iterator[Area]:
    joined = list(files) if everything else [file for file in files if not _stays(file, files, stored)]
    spans = sorted([_days(file) for file in joined] + [(each.day, each.day) for each in stored])
    for first, last in _together(spans, joined):
        mine = [file for file in joined if first <= _days(file)[0] <= last]
        rows = [each for each in stored if first <= each.day <= last]
        others = [file for file in files if file not in joined and _days(file)[0] <= last and _days(file)[1] >= first]
        area = Area(first, last, tuple(mine), tuple(rows), bool(others))
        if any(each.rows for each in rows) or len(mine) > len(set(area.parts().values())):
            yield area


def _stays(file: LayerFile, files: Sequence[LayerFile], stored: Sequence[Stored]) -> bool:
    """Whether a file is large beside the other contents of its days and buckets."""
    first, last = _days(file)
    beside = sum(each.rows for each in stored if first <= each.day <= last)
    beside += sum(other.rows for other in files if _smaller(other, file) and _overlap(other, file))
    return file.rows >= max(_SMALL, _LARGE * beside)


def _smaller(one: LayerFile, other: LayerFile) -> bool:
    return (one.rows, one.path) < (other.rows, other.path)


def _overlap(one: LayerFile, other: LayerFile) -> bool:
    (a, b), (c, d) = _days(one), _days(other)
    return a <= d and c <= b and one.first_bucket <= other.last_bucket and other.first_bucket <= one.last_bucket


def _together(spans: Sequence[tuple[int, int]], joined: Sequence[LayerFile]) -> Iterator[tuple[int, int]]:
    """Spans of days within a month, as few as the files of their rows would be: small ones together, none cut."""
    small = sum(file.rows for file in joined) <= FILE_ROWS
    held: tuple[int, int] | None = None
    for first, last in spans:
        if held is not None and (small or first <= held[1]):
            held = held[0], max(held[1], last)
            continue
        if held is not None:
            yield held
        held = first, last
    if held is not None:
        yield held
