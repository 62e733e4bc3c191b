"""Hides passwords in everything that Tandem prints or writes down, in whatever form they stand in an address.

Hidden are: each secret registered by this process, those in its arguments and environment, and all that looks like one.
Where a password holds an unescaped `&`, `@` or `/`, its end is ambiguous: everything that may belong to it is hidden.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from tandem.schemas.privacy.libpq import PARAMETERS

__all__ = ["hidden", "keep_address", "keep_secret", "redacted"]

_HIDDEN: Final = "***"
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@]*:)\S*@")
"""Matches up to the last @ of a word: a password may hold one."""
_NAME: Final = r"password|passwd|passphrase|pwd|secret|scram_(?:client|server)_key"
_NAMED: Final = re.compile(
    rf"""((?:{_NAME})['"]?(?:\s*[=:]\s*|%3d))(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|['"]?[^\s&;,'"]+)""", re.IGNORECASE
)
_OF_USER: Final = re.compile(r"(?:https?://[^/@:?#]*:([^/]*)@|(?<!http)(?<!https)://[^/@:?#]*:(.*)@)", re.DOTALL)
_VALUE: Final = re.compile(rf"(?:{_NAME})(?:\s*=\s*|%3d)(.*)", re.IGNORECASE | re.DOTALL)
_PARTS: Final = re.compile(r"[@/?#&;%=+:,'\"\\\s]")
_BEHIND: Final = re.compile(rf"[&\s](?=(?:{'|'.join(sorted(PARAMETERS))})=)")
"""Matches where another parameter begins."""
_SHORTEST: Final = 4
"""Characters; a shorter secret would be found in any text."""
_KNOWN: Final = set[str]()


def keep_secret(secret: str | None) -> None:
    """Hide this text, also percent-encoded and quoted, in everything that this process prints from now on."""
    if secret is not None and len(secret) >= _SHORTEST:
        _KNOWN.update({secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]})


def keep_address(text: str) -> None:
    """Hide everything that may be a password in an address, or in libpq's `key=value`: as a whole, decoded, and its
    parts.
    """
    for found in _secrets_of(text):
        for form in {found, unquote(found), unquote_plus(found)}:
            keep_secret(form)
            for part in _PARTS.split(form):
                keep_secret(part)


def _secrets_of(text: str) -> Iterator[str]:
    """Candidates for secrets. After a named one other parameters may follow; text that is none belongs to the
    secret.
    """
    for in_web, elsewhere in _OF_USER.findall(text):
        yield in_web or elsewhere
    for value in _VALUE.findall(text):
        first, *others = _BEHIND.split(value)
        yield first
        for each in others:
            yield from each.split("&")[1:]


def hidden(text: str) -> str:
    """The text with every known secret replaced by `***`."""
    _look_around()
    for secret in sorted(_KNOWN, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


@cache
def _look_around() -> None:
    """Register the secrets in this process's arguments and environment, before anything is shown."""
    for text in (*sys.argv[1:], *os.environ.values()):
        if "://" in text or "=" in text:
            keep_address(text)


def redacted(text: str) -> str:
    """The text with every password in an address, every `password=...`, and every known secret replaced by `***`."""
    text = _IN_ADDRESS.sub(rf"\g<1>{_HIDDEN}@", hidden(text))
    return _NAMED.sub(rf"\g<1>{_HIDDEN}", text)
