"""How one field's values are written: the options of `tandem.schemas.source.spellings`, ready to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.source.time_patterns import EPOCHS, ISO, TimePattern, time_pattern

__all__ = ["PLAIN", "Spelling", "spelling_of"]


@dataclass(frozen=True, slots=True)
class Spelling:
    """The spelling of a field; by default the standard's."""

    time_format: str = ISO
    zone: str = ""
    """The zone of times without one; '': such a time is an error, except for local timestamps."""
    ambiguous: str = "reject"
    nonexistent: str = "reject"
    nulls: tuple[str, ...] = ()
    yes: tuple[str, ...] = ()
    """Texts of true, and in `no` those of false, in lower case."""
    no: tuple[str, ...] = ()
    exact_integers: bool = False
    decimal_comma: bool = False

    @property
    def unit(self) -> str:
        """The unit of times as numbers since 1970: seconds, millis, micros or nanos; '' where the schema decides."""
        return EPOCHS.get(self.time_format, "")

    @property
    def pattern(self) -> TimePattern | None:
        """The pattern of times as texts; None for ISO 8601."""
        return None if self.time_format == ISO or self.unit else time_pattern(self.time_format)


PLAIN: Final = Spelling()


def spelling_of(options: Mapping[str, Any]) -> Spelling:
    """The spelling from the plain values of `tandem.schemas.source.spellings.spellings_of`."""
    if not options:
        return PLAIN
    booleans = options.get("booleans", {})
    yes, no = ([text.lower() for text in booleans.get(side, ())] for side in ("yes", "no"))
    if booleans:
        yes += [text for text in ("true", "1") if text not in no]
        no += [text for text in ("false", "0") if text not in yes]
    return Spelling(
        time_format=options.get("time_format", ISO),
        zone=options.get("zone", ""),
        ambiguous=options.get("ambiguous", "reject"),
        nonexistent=options.get("nonexistent", "reject"),
        nulls=tuple(options.get("nulls", ())),
        yes=tuple(yes),
        no=tuple(no),
        exact_integers=options.get("integers") == "exact",
        decimal_comma=options.get("decimal") == ",",
    )
