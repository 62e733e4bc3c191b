"""Errors inside a runner, unwrapped: Beam wraps an error in types of its own, users see the original."""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from tandem.schemas import errors
from tandem.schemas.errors import TandemError

__all__ = ["as_raised", "failure", "full_disk", "in_words"]

_WHERE: Final = re.compile(r"\s*\[while running [^\]]*\]\s*")
_OWN: Final = re.compile(r"(?:^|[\s:'\"])(?:tandem\.)?schemas\.errors\.(\w+): (.+)$")
_CLASS: Final = re.compile(r"^(?:\w+\.)+(\w+(?:Error|Exception)\b)")
_FULL: Final = re.compile(rf"OSError: \[Errno (?:{errno.ENOSPC}|{errno.EDQUOT})\] [^:']*(?:: \\?'([^'\\]*))?")
_LONGEST: Final = 1_000
"""Most characters of a message."""


def failure(text: str) -> TandemError:
    """The error in a runner's message: one of Tandem's own as it was raised, else the failure in a line.

    A runner gives the whole traceback as a text, often several times over; its last error is the significant one.
    """
    lines = [_WHERE.sub("", line.strip()) for line in text.replace("\\n", "\n").splitlines()]
    for line in reversed(lines):
        found = _OWN.search(line)
        if found is not None:
            return _as_raised(found[1], found[2][:_LONGEST])
    full = next(filter(None, map(_FULL.search, reversed(lines))), None)
    if full is not None:
        return TandemError(full_disk(full[1]))
    failed = next((line for line in reversed(lines) if "Error" in line), next(filter(None, lines), "unknown"))
    named = _CLASS.sub(r"\1", failed)
    return TandemError(f"the pipeline failed: {named[:_LONGEST]}")


def in_words(line: str) -> str:
    """An error's line without the step that Beam adds, and the packages of its class; Tandem's own say it alone."""
    plain = _WHERE.sub("", line)
    own = _OWN.search(plain)
    return own[2] if own else _CLASS.sub(r"\1", plain)


def full_disk(path: str | None) -> str:
    """The message about a full disk."""
    where = f"the disk of {os.path.dirname(path)}" if path else "a disk"
    return f"no room is left on {where}: make some and give the same command again; what was taken in is safe"


def as_raised(error: TandemError) -> TandemError:
    """An error raised through a runner of this process, without the name of the step that Beam adds."""
    text = _WHERE.sub("", str(error))
    return error if text == str(error) else _as_raised(type(error).__name__, text)


def _as_raised(name: str, message: str) -> TandemError:
    kind = getattr(errors, name, TandemError)
    if not (isinstance(kind, type) and issubclass(kind, TandemError)) or kind is errors.UnreadMessagesError:
        return TandemError(message)
    return kind(message)
