"""Why many records are dead letters, in a few words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tandem.formats.dead_letters.files import load

__all__ = ["Reason", "reasons"]

_VARIABLE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d.,:+TZ-]*")
"""Parts of a reason that are the record's own: values, and numbers."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What many records have in common that are dead letters."""

    count: int
    text: str
    """Of the first of them."""
    place: str
    """Where that one is."""

    def __str__(self) -> str:
        return f"{self.count:,} {'time' if self.count == 1 else 'times'}: {self.text} (first at {self.place})"


def reasons(version: str, folder: str, letters: Mapping[str, frozenset[int]], most: int = 3) -> list[Reason]:
    """Why these letters (position -> rows) are dead, the most frequent reasons first.

    `folder`: of the dead letters. Reasons that differ in values and numbers alone are one.
    """
    counts, first = Counter[str](), dict[str, tuple[str, str]]()
    for place, text in _texts(folder, version, letters):
        kind = _VARIABLE.sub("…", text)
        counts[kind] += 1
        first.setdefault(kind, (text, place))
    return [Reason(count, *first[kind]) for kind, count in counts.most_common(most)]


def _texts(folder: str, version: str, letters: Mapping[str, frozenset[int]]) -> Iterator[tuple[str, str]]:
    for position in sorted(letters):
        for row, stored in sorted(load(folder, version, position).items()):
            if row in letters[position]:
                yield f"{position} row {row}", stored.letter.reason
