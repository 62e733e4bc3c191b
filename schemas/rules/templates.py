"""Fills texts of alerts: `{{ NAME }}` is replaced by a value; nothing can be called, no value is a template."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.json_values import plain_value

__all__ = ["names_in", "rendered", "template_problems"]

_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
_MOST_CHARACTERS: Final = 4_000
_DIGITS: Final = ".6g"


def template_problems(text: str, known: Collection[str]) -> Iterator[str]:
    """The mistakes in a template whose values are `known`."""
    for found in _PLACE.findall(text):
        name = found.strip()
        if not _NAME.fullmatch(name):
            yield f"'{{{{{found[:40]}}}}}' is no name; only names stand in {{{{ }}}}, such as {{{{ events }}}}"
        elif name not in known:
            yield f"unknown name '{name[:80]}'; {suggestion(name, sorted(known))}"
    if "{{" in _PLACE.sub("", text):
        yield "a '{{' without '}}'"


def names_in(text: str) -> list[str]:
    """The names in a template."""
    return [found.strip() for found in _PLACE.findall(text)]


def rendered(text: str, values: Mapping[str, Any]) -> str:
    """The text with its values; a dash for a missing one. Cut to 4,000 characters."""
    return _PLACE.sub(lambda found: _shown(values.get(found.group(1).strip())), text)[:_MOST_CHARACTERS]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return format(value, _DIGITS) if isinstance(value, float) else str(plain_value(value))
