"""Escapes foreign texts for terminals and logs: control characters, and characters that hide or reorder text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["UNSAFE", "escaped_json", "json_text", "printable"]

UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls: escape sequences begin with one, and C1 has another beginning
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these change the order in which text is shown
    "\u2028\u2029"  # line ends that aren't the line's
    "\u00ad\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # nothing is seen of these
    "\ud800-\udfff]"  # halves of characters, and bytes of names that aren't UTF-8
)
_BLANKS: Final = "\n\r\t"
"""Characters that JSON escapes within texts."""
_NAMED: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str, *, lines: bool = False) -> str:
    """The text with each unsafe character as `\\x1b`, `\\u202e` or `\\U000e0001`; with `lines` line feeds stay."""
    if lines:
        return UNSAFE.sub(lambda found: "\n" if found[0] == "\n" else _escaped(found[0]), text)
    return UNSAFE.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(data: Any) -> str:
    """JSON on one line, with unsafe characters in JSON's own escapes: nothing is lost."""
    return escaped_json(json.dumps(data, ensure_ascii=False, allow_nan=False))


def escaped_json(text: str) -> str:
    """JSON of any layout on one line, with equal values and unsafe characters in JSON's own escapes."""
    return UNSAFE.sub(lambda found: " " if found[0] in _BLANKS else json.dumps(found[0])[1:-1], text)
