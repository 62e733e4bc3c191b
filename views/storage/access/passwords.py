"""A view store's password by reference: an address names its place, and never holds it.

Addresses are widely visible: they are options of a job, which a runner shows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tandem.schemas.errors import StoreAddressError

__all__ = ["PARAMETER", "password_of"]

PARAMETER: Final = "password_from"
_FORMS: Final = "file:/PATH or gcp:projects/PROJECT/secrets/NAME/versions/VERSION"
_SECRET: Final = re.compile(r"projects/[^/]+/secrets/[^/]+(/versions/[^/]+)?")
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_SECONDS: Final = 20


def password_of(source: str) -> str:
    """The password that a reference names, without the line end of a file.

    Raises StoreAddressError for another kind of reference, and for a password that can't be read.
    """
    kind, _, name = source.partition(":")
    readers: dict[str, Callable[[str], str]] = {"file": _of_file, "gcp": _of_secret_manager}
    if kind not in readers or not name:
        raise StoreAddressError(f"{PARAMETER}={source[:80]}: it is {_FORMS}")
    password = readers[kind](name)
    if not password:
        raise StoreAddressError(f"{PARAMETER}={source[:80]}: there is no password in it")
    return password


def _of_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it isn't text"
        raise StoreAddressError(f"{PARAMETER}=file:{name}: the password can't be read: {why}") from None


def _of_secret_manager(name: str) -> str:
    """A version of a secret of Google's Secret Manager, read with the default credentials of this machine."""
    if not _SECRET.fullmatch(name):
        raise StoreAddressError(f"{PARAMETER}=gcp:{name[:80]}: it is {_FORMS}")
    version = name if "/versions/" in name else f"{name}/versions/latest"
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        reply = _accessed(f"https://secretmanager.googleapis.com/v1/{version}:access")
    except (GoogleAuthError, RequestException) as error:
        raise StoreAddressError(f"{PARAMETER}=gcp:{name}: {str(error)[:200]}") from None
    if reply.status_code != 200:
        why = {403: "this account mustn't read it", 404: "there is no such secret"}.get(reply.status_code, reply.reason)
        raise StoreAddressError(f"{PARAMETER}=gcp:{name}: {why} (HTTP {reply.status_code})")
    return base64.b64decode(reply.json()["payload"]["data"]).decode("utf-8").rstrip("\r\n")


def _accessed(url: str) -> Any:
    """The reply; up to four attempts, where the service is briefly unavailable."""
    import google.auth
    from google.auth.transport.requests import AuthorizedSession
    from requests import HTTPError, RequestException
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    def attempt() -> Any:
        credentials, _ = google.auth.default(scopes=_SCOPES)
        with AuthorizedSession(credentials) as session:  # type: ignore[no-untyped-call]
            reply = session.get(url, timeout=_SECONDS)
        if reply.status_code in (429, 500, 502, 503):
            raise HTTPError(f"Secret Manager answers {reply.status_code}")
        return reply

    away = retry_if_exception_type(RequestException)
    return Retrying(retry=away, stop=stop_after_attempt(4), wait=wait_random_exponential(0.2, max=5), reraise=True)(
        attempt
    )
