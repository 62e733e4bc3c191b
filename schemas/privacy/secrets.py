"""Passwords never appear in what Tandem prints or writes down, in whatever form they stand in an address."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["keep_secret", "redacted"]

_HIDDEN: Final = "***"
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@]*:)\S*@")
"""Up to the last @ of a word: a password may hold one."""
_NAMED: Final = re.compile(
    r"""((?:password|passwd|passphrase|pwd|secret)['"]?(?:\s*[=:]\s*|%3[dD])['"]?)[^\s&;,'"]+""", re.IGNORECASE
)
_SHORTEST: Final = 4
"""Characters: a shorter secret would be found in any text."""
_KNOWN: Final = set[str]()


def keep_secret(secret: str | None) -> None:
    """Hide this text, also percent-encoded and quoted, in all that is printed from now on by this process."""
    if secret is not None and len(secret) >= _SHORTEST:
        _KNOWN.update({secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]})


def redacted(text: str) -> str:
    """The text with every password in an address, every `password=...`, and every known secret as `***`."""
    for secret in sorted(_KNOWN, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _IN_ADDRESS.sub(rf"\g<1>{_HIDDEN}@", text)
    return _NAMED.sub(rf"\g<1>{_HIDDEN}", text)
