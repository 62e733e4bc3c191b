"""Bearer tokens of an OpenID provider: signed by one of its keys, meant for this server, and still valid.

Algorithms are limited to signatures by private keys, so that neither an unsigned token nor one that was signed with a
public key as a password is ever accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt

from tandem.schemas.errors import UserError
from tandem.serving.security.principals import Principal, Role
from tandem.serving.security.row_filters import Rows

__all__ = ["ALGORITHMS", "OidcTokens", "oidc_tokens"]

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_LEEWAY: Final = 30
"""Seconds of tolerance for the provider's clock."""
_TIMEOUT: Final = 5
"""Seconds until the provider's keys must have been fetched."""
_KEPT: Final = 600
"""Seconds for which they are cached."""
_NEEDED: Final = ("exp", "iss", "aud", "sub")


class SigningKeys(Protocol):
    """The provider's public keys."""

    def get_signing_key_from_jwt(self, token: str) -> Any:
        """The key of a token's `kid`. Raises PyJWTError for a key that isn't the provider's."""


@dataclass(frozen=True)
class OidcTokens:
    """Authenticates by tokens of one provider.

    Claims give the permissions: `tandem_role` (viewer without it), `tandem_definitions` (a list; all without it) and
    `tandem_rows` ({definition: [[value, ...], ...]}).
    """

    issuer: str
    audience: str
    keys: SigningKeys

    def principal(self, text: str, now: int) -> Principal | None:
        """The principal; None for a token that is unsigned, of another provider or audience, expired, or has invalid
        claims.
        """
        try:
            key = self.keys.get_signing_key_from_jwt(text)
            claims = jwt.decode(
                text,
                key.key,
                algorithms=list(ALGORITHMS),
                issuer=self.issuer,
                audience=self.audience,
                leeway=_LEEWAY,
                options={"require": list(_NEEDED)},
            )
            return _principal(claims)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return None


def oidc_tokens(issuer: str, audience: str, keys_url: str | None = None) -> OidcTokens:
    """Tokens of a provider whose keys are at `keys_url`, by default at the path of Keycloak, Auth0 and others.

    Raises UserError for an address without transport security.
    """
    url = keys_url or issuer.rstrip("/") + "/.well-known/jwks.json"
    for name, address in (("--oidc-issuer", issuer), ("--oidc-keys", url)):
        if not address.startswith("https://"):
            raise UserError(f"{name} {address}: an https:// address is wanted")
    return OidcTokens(issuer, audience, jwt.PyJWKClient(url, cache_keys=True, lifespan=_KEPT, timeout=_TIMEOUT))


def _principal(claims: Mapping[str, Any]) -> Principal:
    """Raises KeyError, TypeError, ValueError for invalid claims."""
    definitions, rows = claims.get("tandem_definitions"), claims.get("tandem_rows", {})
    if definitions is not None and not all(isinstance(name, str) for name in definitions):
        raise TypeError("tandem_definitions isn't a list of names")
    if not all(isinstance(prefix, list) for prefixes in rows.values() for prefix in prefixes):
        raise TypeError("tandem_rows isn't {definition: [[value, ...], ...]}")
    return Principal(
        f"oidc:{claims['sub']}",
        Role(claims.get("tandem_role", Role.VIEWER)),
        None if definitions is None else frozenset(definitions),
        Rows.from_data(rows),
    )
