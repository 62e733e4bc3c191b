"""Patterns of files without quotes: the shell opens them, and all but the first file follow no flag."""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["is_like", "way_to_give"]


def is_like(word: str, given: Sequence[str]) -> bool:
    """Whether a word is the name of such a file as those that were given: it ends as one of them does."""
    ending = os.path.splitext(word)[1]
    return bool(ending) and any(os.path.splitext(one)[1] == ending for one in given)


def way_to_give(word: str) -> str:
    """How a file is given that follows no flag, together with those beside it."""
    pattern = os.path.join(os.path.dirname(word), f"*{os.path.splitext(word)[1]}")
    return f"put a pattern of files into quotes, --files '{pattern}', or --files before each"
