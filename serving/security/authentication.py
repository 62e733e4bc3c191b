"""Authenticates a request by its headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tandem.serving.security.api_keys import KeyFile
from tandem.serving.security.principals import LOCAL, Principal
from tandem.serving.security.sessions import BrowserSessions, cookie_of

__all__ = ["Authenticator", "Tokens"]


class Tokens(Protocol):
    """Authenticates tokens of another issuer."""

    def principal(self, text: str, now: int) -> Principal | None:
        """The principal; None for an invalid token, or one that isn't meant for this server."""


@dataclass(frozen=True)
class Authenticator:
    """Authenticates by an API key, a token, or a browser's session."""

    required: bool
    """Whether unknown callers are refused; else they are viewers of everything."""
    keys: KeyFile
    sessions: BrowserSessions
    clock: Callable[[], int]
    tokens: Tokens | None = None

    def principal(self, authorization: str, cookie: str) -> Principal | None:
        """The principal of the headers Authorization and Cookie; None for an unknown caller."""
        now = self.clock()
        if authorization:
            scheme, _, given = authorization.partition(" ")
            return self.of_secret(given.strip(), now) if scheme.lower() == "bearer" else None
        key = self.sessions.key(cookie_of(cookie), now)
        if key is not None:
            return self.keys.still(key, now)
        return None if self.required else LOCAL

    def takes_long(self, authorization: str) -> bool:
        """Whether authentication may fetch keys from another server."""
        return self.tokens is not None and authorization.count(".") == 2

    def of_secret(self, given: str, now: int) -> Principal | None:
        """The principal of this API key, or this token."""
        if self.tokens is not None and given.count(".") == 2:
            return self.tokens.principal(given, now)
        return self.keys.principal(given, now)
