"""Why many records are dead letters, in a few words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tandem.formats.dead_letters.files import load

__all__ = ["MOST", "Reason", "reasons"]

_VARIABLE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d.,:+TZ-]*")
"""Parts of a reason that are the record's own: values, and numbers."""
MOST: Final = 100_000
"""Letters that are looked at: of millions the first show why."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What many records have in common that are dead letters."""

    count: int
    text: str
    """Of the first of them."""
    place: str
    """Where that one is."""
    looked_at: int | None = None
    """How many were, if not all."""

    def __str__(self) -> str:
        times = f"{self.count:,} {'time' if self.count == 1 else 'times'}"
        among = f" among the first {self.looked_at:,}" if self.looked_at is not None else ""
        return f"{times}{among}: {self.text} (first at {self.place})"


def reasons(version: str, folder: str, letters: Mapping[str, frozenset[int]], most: int = 3) -> list[Reason]:
    """Why these letters (position -> rows) are dead, the most frequent reasons first; of many, the first of them.

    `folder`: of the dead letters. Reasons that differ in values and numbers alone are one.
    """
    counts, first = Counter[str](), dict[str, tuple[str, str]]()
    for place, text in islice(_texts(folder, version, letters), MOST):
        kind = _VARIABLE.sub("…", text)
        counts[kind] += 1
        first.setdefault(kind, (text, place))
    looked_at = MOST if sum(map(len, letters.values())) > MOST else None
    return [Reason(count, *first[kind], looked_at) for kind, count in counts.most_common(most)]


def _texts(folder: str, version: str, letters: Mapping[str, frozenset[int]]) -> Iterator[tuple[str, str]]:
    for position in sorted(letters):
        for row, stored in sorted(load(folder, version, position).items()):
            if row in letters[position]:
                yield f"{position} row {row}", stored.letter.reason
