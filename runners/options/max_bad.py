"""The limit of bad records in a backfill's input, above which nothing of it is published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

__all__ = ["DEFAULT_MAX_BAD", "MaxBad", "max_bad"]


@dataclass(frozen=True, slots=True)
class MaxBad:
    """A share of all records, or a number of them."""

    text: str
    share: Fraction | None
    records: int = 0

    def allows(self, bad: int, read: int) -> bool:
        """Whether `bad` bad ones among `read` records may be published."""
        return bad <= (self.records if self.share is None else self.share * read)


def max_bad(text: str) -> MaxBad:
    """The limit of "1%", "0.5%", or a number of records, "0" for none at all. Raises ValueError."""
    number, percent = text.removesuffix("%"), text.endswith("%")
    pattern = r"\d+(\.\d+)?" if percent else r"\d+"
    if not re.fullmatch(pattern, number) or (percent and Fraction(number) > 100):
        raise ValueError(f"{text!r} is neither a percentage, as 1%, nor a number of records, as 20")
    return MaxBad(text, Fraction(number) / 100) if percent else MaxBad(text, None, int(number))


DEFAULT_MAX_BAD: Final = max_bad("1%")
