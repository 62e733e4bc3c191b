"""The places of values in a definition."""

from __future__ import annotations

__all__ = ["Path", "field_text"]

Path = tuple[str | int, ...]
"""Keys of mappings and indices of lists, from the top."""


def field_text(path: Path) -> str:
    """A path as messages show it: `windows.four_weeks.size`, `key[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
