"""Examples of docstrings are shown as code: without this, Markdown takes `>>>` for quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Doctests", "as_code"]

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)


def as_code(text: str) -> str:
    """The docstring with each paragraph that begins with `>>>` as a block of code."""
    return _EXAMPLE.sub(lambda example: f"```pycon\n{example[0]}\n```", text)


class Doctests(griffe.Extension):  # type: ignore[misc]
    """Changes docstrings as they are read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_code(obj.docstring.value)
