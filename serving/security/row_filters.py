"""Row filters: the keys of a definition that a caller may see, by their first values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tandem.schemas.errors import UserError

__all__ = ["Rows", "parse_rows"]

Prefix = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """By definition the prefixes of visible keys; a definition that isn't named is visible as a whole."""

    prefixes: Mapping[str, tuple[Prefix, ...]] = field(default_factory=dict)

    def restricts(self, name: str) -> bool:
        """Whether only some keys of a definition are visible."""
        return name in self.prefixes

    def visible(self, name: str) -> Callable[[str], bool] | None:
        """Whether a key (canonical) of a definition is visible; None where all are."""
        prefixes = self.prefixes.get(name)
        if prefixes is None:
            return None
        return lru_cache(maxsize=4096)(lambda key: any(_begins(json.loads(key), prefix) for prefix in prefixes))

    def to_data(self) -> dict[str, list[list[Any]]]:
        """The filters as JSON data."""
        return {name: [list(prefix) for prefix in prefixes] for name, prefixes in self.prefixes.items()}

    @classmethod
    def from_data(cls, data: Mapping[str, Sequence[Sequence[Any]]]) -> Rows:
        """The inverse of `to_data`."""
        return cls({name: tuple(tuple(prefix) for prefix in prefixes) for name, prefixes in data.items()})


def parse_rows(texts: Sequence[str]) -> Rows:
    """Parse a user's filters: `clicks=home`, `orders=mill,EUR` or `orders=["mill"]`; several of one definition add up.
    Raises UserError.
    """
    found: dict[str, tuple[Prefix, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise UserError(f"--rows {text}: write DEFINITION=VALUE,... with the first values of the keys to be seen")
        found[name] = (*found.get(name, ()), _prefix(text, values))
    return Rows(found)


def _prefix(text: str, values: str) -> Prefix:
    if not values.startswith("["):
        return tuple(values.split(","))
    try:
        parsed = json.loads(values)
    except ValueError:
        raise UserError(f"--rows {text}: not a JSON array") from None
    if not isinstance(parsed, list) or not parsed or any(isinstance(value, list | dict) for value in parsed):
        raise UserError(f"--rows {text}: a JSON array of the keys' first values is wanted")
    return tuple(parsed)


def _begins(key: Sequence[Any], prefix: Prefix) -> bool:
    return len(prefix) <= len(key) and all(map(_same, key, prefix))


def _same(value: Any, wanted: Any) -> bool:
    """Whether values are equal and of one type; a number may be given as a text."""
    if isinstance(wanted, str) and isinstance(value, int) and not isinstance(value, bool):
        return str(value) == wanted
    return type(value) is type(wanted) and bool(value == wanted)
