"""Objects of S3, and of stores with its protocol, by obstore.

Credentials, region and endpoint come from the environment, by AWS's own names (AWS_ACCESS_KEY_ID, AWS_REGION,
AWS_ENDPOINT_URL, ...), or from the machine's role.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from tandem.schemas.errors import PlaceError
from tandem.schemas.privacy.secrets import keep_secret
from tandem.storage.objects import Listed, ObjectExistsError, ObjectMissingError, UnavailableError

__all__ = ["S3Objects"]

_STATUS: Final = re.compile(r"status code: (\d{3}) ?([A-Za-z ]*)")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_TRANSIENT: Final = ("408", "409", "425", "429", "500", "502", "503", "504")
"""HTTP status codes of transient errors; 409: two concurrent conditional writes, neither of which has finished."""
_NO_BUCKET: Final = "NoSuchBucket"
_SECRETS: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
_NO_ROLE: Final = ("169.254.169.254", "169.254.170.2", "credential")


class S3Objects:
    """See Objects. Each operation is tried once; `timeout`: seconds of one request."""

    def __init__(self, bucket: str, timeout: float) -> None:
        from obstore.store import S3Store

        for name in _SECRETS:
            keep_secret(os.environ.get(name))
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self._name = f"s3://{bucket}"
        self._store: Any = S3Store(
            bucket,
            config={"region": region, **({"endpoint": endpoint} if endpoint else {})},
            client_options={
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
                "timeout": timedelta(seconds=timeout),
                "connect_timeout": timedelta(seconds=min(timeout, 5.0)),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)},
        )

    def create(self, key: str, data: bytes) -> None:
        """See Objects."""
        with self._errors(key):
            self._store.put(key, data, mode="create", use_multipart=False)

    def put(self, key: str, data: bytes) -> None:
        """See Objects."""
        with self._errors(key):
            self._store.put(key, data, use_multipart=False)

    def get(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """See Objects."""
        if size == 0:
            return b""
        end = {"range": (start, start + size)} if size is not None else {"range": {"offset": start}} if start else None
        with self._errors(key):
            try:
                return bytes(self._store.get(key, options=end).bytes())
            except Exception as error:
                if _status(error)[:3] == "416":
                    return b""
                raise

    def size(self, key: str) -> int:
        """See Objects."""
        with self._errors(key):
            return int(self._store.head(key)["size"])

    def folder(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """See Objects."""
        with self._errors(prefix):
            found = self._store.list_with_delimiter(prefix or None)
        return [Listed(one["path"], one["size"]) for one in found["objects"]], list(found["common_prefixes"])

    def walk(self, prefix: str) -> Iterator[Listed]:
        """See Objects."""
        with self._errors(prefix):
            for chunk in self._store.list(prefix or None):
                yield from (Listed(one["path"], one["size"]) for one in chunk)

    def delete(self, key: str) -> None:
        """See Objects."""
        with self._errors(key):
            self._store.delete(key)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            yield
        except AlreadyExistsError as error:
            if _status(error)[:3] == "409":
                raise self._unavailable(key, error) from None
            raise ObjectExistsError(f"{self._name}/{key}: exists already") from None
        except FileNotFoundError as error:
            if _code(error) == _NO_BUCKET:
                raise self._refused(key, error) from None
            raise ObjectMissingError(f"{self._name}/{key}: no such object") from None
        except BaseError as error:
            raise self._refused(key, error) from None

    def _refused(self, key: str, error: BaseException) -> Exception:
        status = _status(error)
        if _code(error) == _NO_BUCKET:
            return PlaceError(f"{self._name}: there is no such bucket")
        if status and status[:3] not in _TRANSIENT:
            return PlaceError(f"{self._name}/{key}: the store refuses it: {_said(error)}")
        if not status and any(sign in str(error) for sign in _NO_ROLE):
            return PlaceError(
                f"{self._name}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the"
                " machine has a role"
            )
        return self._unavailable(key, error)

    def _unavailable(self, key: str, error: BaseException) -> UnavailableError:
        return UnavailableError(f"{self._name}/{key}: {_said(error)}")


def _said(error: BaseException) -> str:
    """The status and code alone: other parts of an answer may repeat the signed request and the key's id."""
    return " ".join(part for part in (_status(error), _code(error)) if part) or "no answer"


def _status(error: BaseException) -> str:
    found = _STATUS.search(str(error))
    return f"{found[1]} {found[2]}".strip() if found else ""


def _code(error: BaseException) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""
