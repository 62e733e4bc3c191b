"""Summarizes the reasons of many dead letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tandem.formats.dead_letters.files import load

__all__ = ["MOST", "Reason", "reasons"]

_VARIABLE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d.,:+TZ-]*")
"""Matches the parts of a reason that differ between records: values and numbers."""
MOST: Final = 100_000
"""Most letters that are read: of millions, the first show the reasons."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason shared by many dead letters."""

    count: int
    text: str
    """The text of the first letter's reason."""
    place: str
    """The position of the first letter."""
    looked_at: int | None = None
    """The number of letters that were read, if not all."""

    def __str__(self) -> str:
        times = f"{self.count:,} {'time' if self.count == 1 else 'times'}"
        among = f" among the first {self.looked_at:,}" if self.looked_at is not None else ""
        return f"{times}{among}: {self.text} (first at {self.place})"


def reasons(version: str, folder: str, letters: Mapping[str, Set[int]], most: int = 3) -> list[Reason]:
    """The reasons of these letters (position -> rows), the most frequent first; of many letters, only the first are
    read.

    `folder`: of the dead letters. Reasons that differ in values and numbers alone are one.
    """
    counts, first = Counter[str](), dict[str, tuple[str, str]]()
    for place, text in islice(_texts(folder, version, letters), MOST):
        kind = _VARIABLE.sub("…", text)
        counts[kind] += 1
        first.setdefault(kind, (text, place))
    looked_at = MOST if sum(map(len, letters.values())) > MOST else None
    return [Reason(count, *first[kind], looked_at) for kind, count in counts.most_common(most)]


def _texts(folder: str, version: str, letters: Mapping[str, Set[int]]) -> Iterator[tuple[str, str]]:
    for position in sorted(letters):
        for row, stored in sorted(load(folder, version, position).items()):
            if row in letters[position]:
                yield f"{position} row {row}", stored.letter.reason
