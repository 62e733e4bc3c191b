"""The hint in a message about an unknown name: the closest allowed name, and all allowed names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

__all__ = ["known_names", "suggestion"]

_MOST_NAMES: Final = 30


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """`did you mean 'tile'? allowed: name, tile, ...`; the question only for a close name."""
    names = list(allowed)
    same = [known for known in names if known.lower() == name.lower()]
    close = same or difflib.get_close_matches(name, names, 1)
    question = f"did you mean '{close[0]}'? " if close else ""
    return f"{question}allowed: {known_names(names)}"


def known_names(names: Iterable[str]) -> str:
    """The names, separated by commas; beyond 30 the first 30 and the total."""
    names = list(names)
    if not names:
        return "none"
    more = f" ... ({len(names)} in all)" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
