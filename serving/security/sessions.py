"""Sessions of browsers: a random cookie that stands for an API key, as long as the key is valid."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

__all__ = ["COOKIE", "BrowserSessions", "cookie_of"]

COOKIE: Final = "tandem_session"
_LIFE: Final = 12 * 3_600 * 1_000_000
_MOST: Final = 10_000


@dataclass
class BrowserSessions:
    """Open sessions; they end with the process, after twelve hours, and with their key."""

    _open: dict[str, tuple[str, int]] = field(default_factory=dict)

    def begin(self, key: str, now: int) -> str:
        """The cookie of a new session of the key with this id."""
        if len(self._open) >= _MOST:
            self._open = {cookie: (of, end) for cookie, (of, end) in self._open.items() if end > now}
        while len(self._open) >= _MOST:
            self._open.pop(next(iter(self._open)))
        cookie = secrets.token_urlsafe(32)
        self._open[cookie] = key, now + _LIFE
        return cookie

    def key(self, cookie: str, now: int) -> str | None:
        """The id of a session's key; None without a session, or for one that has ended."""
        found = self._open.get(cookie)
        return found[0] if found is not None and now < found[1] else None

    def end(self, cookie: str) -> None:
        """End a session, if there is one."""
        self._open.pop(cookie, None)


def cookie_of(header: str) -> str:
    """The session's cookie in a Cookie header; '' without one, and for several."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else ""
