"""Formats of times in a definition: patterns of strptime's directives, or numbers since 1970."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["EPOCHS", "ISO", "MONTHS", "TimePattern", "check_time_format", "time_pattern"]

ISO: Final = "iso"
EPOCHS: Final = {"epoch_seconds": "seconds", "epoch_millis": "millis", "epoch_micros": "micros", "epoch_nanos": "nanos"}
"""The unit of each numeric format."""
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST: Final = 100
_SHORT_FOR: Final = {"T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y"}
_ALIKE: Final = {"h": "b", "B": "b", "A": "a", "e": "d"}
_TWO_DIGITS: Final = "mdHIMS"


def _names(known: tuple[str, ...]) -> str:
    return "|".join(f"{name[:3]}(?:{name[3:]})?" for name in known)


_FORMS: Final = {
    "Y": "[0-9]{4}", "y": "[0-9]{2}", "j": "[0-9]{1,3}", "f": "[0-9]{1,9}",
    "b": _names(MONTHS), "a": _names(_WEEKDAYS), "p": "am|pm", "z": "z|[+-][0-9]{2}(?::?[0-9]{2})?",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimePattern:
    """A pattern of directives as a regular expression with a group for each directive."""

    text: str
    regex: str
    groups: frozenset[str]

    @property
    def has_offset(self) -> bool:
        """Whether texts have their own offset from UTC."""
        return "z" in self.groups


@lru_cache(maxsize=64)
def time_pattern(text: str) -> TimePattern:
    """The pattern of a text such as `%d.%m.%Y %H:%M`. Raises ValueError naming its mistake.

    Directives are those of C's and Python's strptime, names of months and weekdays are English, in any case. Days,
    months, hours, minutes and seconds may have one digit where they are separated from the next directive.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"a time_format of {len(text)} characters; at most {_LONGEST}")
    parts = _parts(text)
    found = [_ALIKE.get(part, part) for literal, part in parts if not literal]
    for one in found:
        if found.count(one) > 1:
            raise ValueError(f"{text!r}: '%{one}' twice, or two ways to write the same")
    _check_complete(text, set(found))
    regex = "".join(_form(parts, at) for at in range(len(parts)))
    return TimePattern(text, f"^(?i){regex}$", frozenset(found))


def _parts(text: str) -> list[tuple[bool, str]]:
    """(true, literal character) and (false, directive) pairs."""
    for short, meaning in _SHORT_FOR.items():
        text = re.sub(rf"(?<!%)((?:%%)*)%{short}", rf"\g<1>{meaning}", text)
    parts: list[tuple[bool, str]] = []
    characters = iter(text)
    for character in characters:
        if character != "%":
            parts.append((True, character))
            continue
        directive = next(characters, "")
        if directive == "%":
            parts.append((True, "%"))
        elif directive in (*_FORMS, *_TWO_DIGITS, *_ALIKE) and directive:
            parts.append((False, directive))
        else:
            allowed = " ".join(f"%{one}" for one in (*_TWO_DIGITS, *_FORMS, *_ALIKE, *_SHORT_FOR))
            raise ValueError(f"{text!r}: '%{directive}' is not known; known are {allowed}")
    return parts


def _check_complete(text: str, found: set[str]) -> None:
    if not found:
        raise ValueError(f"{text!r} is no time_format; allowed: {ISO}, {', '.join(EPOCHS)}, or directives such as %Y")
    if len(found & {"Y", "y"}) != 1:
        raise ValueError(f"{text!r} doesn't say the year once; write %Y or %y")
    if len(found & {"m", "b", "j"}) != 1 or ("d" in found) == ("j" in found):
        raise ValueError(f"{text!r} doesn't say the day once; write %m (or %b) and %d, or %j")
    if ("I" in found) != ("p" in found) or {"H", "I"} <= found:
        raise ValueError(f"{text!r}: hours are %H, or %I with %p")
    for smaller, larger in (("M", "HI"), ("S", "M"), ("f", "S")):
        if smaller in found and not found & set(larger):
            raise ValueError(f"{text!r} has %{smaller} without %{larger[0]}")


def _form(parts: list[tuple[bool, str]], at: int) -> str:
    literal, part = parts[at]
    if literal:
        return " +" if part == " " else re.escape(part)
    name = _ALIKE.get(part, part)
    if name not in _TWO_DIGITS:
        return f"(?P<{name}>{_FORMS[name]})"
    followed = at + 1 < len(parts) and not parts[at + 1][0] and parts[at + 1][1] not in "bBhpz"
    led = at > 0 and not parts[at - 1][0] and parts[at - 1][1] not in "bBhaA"
    digits = "[0-9]{2}" if followed or led else "[0-9]{1,2}"
    return f"{' ?' if part == 'e' else ''}(?P<{name}>{digits})"


def check_time_format(text: str) -> str:
    """The format, if it is valid: `iso`, one of EPOCHS, or a pattern. Raises ValueError."""
    if text != ISO and text not in EPOCHS:
        time_pattern(text)
    return text
