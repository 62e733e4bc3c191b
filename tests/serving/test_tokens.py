"""Tokens of an OpenID provider: the ones it signed for this server, and every way to make one that it didn't."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tandem.schemas.errors import UserError
from tandem.serving.security.principals import Principal, Role
from tandem.serving.security.tokens import OidcTokens, oidc_tokens

ISSUER, AUDIENCE = "https://id.example.com", "tandem"
OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHERS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = OURS.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class Key:
    key: Any


class Provider:
    """The provider's keys by id."""

    def get_signing_key_from_jwt(self, token: str) -> Key:
        known = {"rsa": OURS.public_key(), "curve": CURVE.public_key()}
        number = jwt.get_unverified_header(token).get("kid")
        if number not in known:
            raise jwt.PyJWKClientError("no such key")
        return Key(known[number])


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 600, "iat": now}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def signed(given: dict[str, Any], key: Any = OURS, algorithm: str = "RS256", kid: str = "rsa") -> str:
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid})


def by_hand(header: dict[str, Any], given: dict[str, Any], secret: bytes | None) -> str:
    """A token as somebody without the provider's key makes it."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    body = f"{part(json.dumps(header).encode())}.{part(json.dumps(given).encode())}"
    mark = b"" if secret is None else hmac.digest(secret, body.encode(), hashlib.sha256)
    return f"{body}.{part(mark)}"


def known(text: str) -> Principal | None:
    return OidcTokens(ISSUER, AUDIENCE, Provider()).principal(text, 0)


def test_a_token_of_the_provider_says_who_asks_and_what_they_may() -> None:
    assert known(signed(claims())) == Principal("oidc:ada")
    assert known(signed(claims(), CURVE, "ES256", "curve")) == Principal("oidc:ada")
    given = claims(tandem_role="operator", tandem_definitions=["clicks"], tandem_rows={"clicks": [["home"]]})
    found = known(signed(given))
    assert found is not None
    assert (found.role, found.definitions, found.rows.to_data()) == (
        Role.OPERATOR,
        frozenset({"clicks"}),
        {"clicks": [["home"]]},
    )


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(by_hand({"alg": "none", "kid": "rsa"}, claims(), None), id="unsigned"),
        pytest.param(by_hand({"alg": "None", "kid": "rsa"}, claims(), None), id="unsigned-capital"),
        pytest.param(by_hand({"alg": "HS256", "kid": "rsa"}, claims(), PUBLIC), id="public-key-as-password"),
        pytest.param(by_hand({"alg": "RS256", "kid": "rsa"}, claims(), PUBLIC), id="another-mark"),
        pytest.param(
            by_hand({"alg": "HS256", "kid": "rsa", "jwk": {"kty": "oct", "k": ""}}, claims(), b""), id="own-key"
        ),
        pytest.param(signed(claims(), OTHERS), id="another-key"),
        pytest.param(signed(claims(), OTHERS, kid="others"), id="unknown-key"),
        pytest.param(signed(claims(), OURS, kid="curve"), id="key-of-another-kind"),
        pytest.param(signed(claims(), OURS, "RS512"), id="algorithm-that-isnt-pinned"),
        pytest.param(signed(claims(exp=int(time.time()) - 60)), id="expired"),
        pytest.param(signed(claims(nbf=int(time.time()) + 600)), id="not-yet-valid"),
        pytest.param(signed(claims(exp=None)), id="without-an-end"),
        pytest.param(signed(claims(aud="another")), id="another-audience"),
        pytest.param(signed(claims(aud=None)), id="no-audience"),
        pytest.param(signed(claims(iss="https://evil.example")), id="another-issuer"),
        pytest.param(signed(claims(sub=None)), id="nobody"),
        pytest.param(signed(claims(tandem_role="root")), id="unknown-role"),
        pytest.param(signed(claims(tandem_rows={"clicks": "home"})), id="rows-that-are-none"),
        pytest.param(signed(claims(tandem_definitions=[1])), id="names-that-are-none"),
        pytest.param(signed(claims())[:-4] + "AAAA", id="changed-mark"),
        pytest.param("a.b.c", id="no-token"),
        pytest.param("..", id="nothing"),
    ],
)
def test_every_other_token_opens_nothing(token: str) -> None:
    assert known(token) is None


@pytest.mark.parametrize(("issuer", "keys"), [("http://id.example.com", None), (ISSUER, "file:///etc/passwd")])
def test_keys_are_fetched_where_nobody_can_change_them(issuer: str, keys: str | None) -> None:
    with pytest.raises(UserError, match="https"):
        oidc_tokens(issuer, AUDIENCE, keys)
