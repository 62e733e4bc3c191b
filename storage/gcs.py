"""Objects of Google Cloud Storage, by Google's own client.

Credentials are Google's default ones; with STORAGE_EMULATOR_HOST the client calls that server without any.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from tandem.schemas.errors import PlaceError
from tandem.storage.objects import Listed, ObjectExistsError, ObjectMissingError, UnavailableError

__all__ = ["GcsObjects"]

_NO_EXTRA_REQUESTS: Final = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
"""Disables a request of the client for the bucket's metadata, for traces that aren't used; it needs a permission."""
_TRANSIENT: Final = (408, 429, 500, 502, 503, 504)


class GcsObjects:
    """See Objects. Each operation is tried once; `timeout`: seconds of one request."""

    def __init__(self, bucket: str, timeout: float) -> None:
        self._name, self._bucket_name = f"gs://{bucket}", bucket
        self._how: dict[str, Any] = {"retry": None, "timeout": (min(timeout, 5.0), timeout)}
        self._of_thread = threading.local()

    def create(self, key: str, data: bytes) -> None:
        """See Objects."""
        with self._errors(key, writes=True):
            self._write(key, data, if_generation_match=0)

    def put(self, key: str, data: bytes) -> None:
        """See Objects."""
        with self._errors(key, writes=True):
            self._write(key, data)

    def _write(self, key: str, data: bytes, **conditions: int) -> None:
        kind = "application/octet-stream"
        self._bucket.blob(key).upload_from_string(data, content_type=kind, **conditions, **self._how)

    def get(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """See Objects."""
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        if size == 0:
            return b""
        end = start + size - 1 if size is not None else None
        with self._errors(key), suppress(RequestRangeNotSatisfiable):
            blob = self._bucket.blob(key)
            # Ranges of an object that is stored packed are of its packed bytes.
            return bytes(blob.download_as_bytes(start=start or None, end=end, raw_download=True, **self._how))
        return b""

    def size(self, key: str) -> int:
        """See Objects."""
        with self._errors(key):
            blob = self._bucket.blob(key)
            blob.reload(**self._how)
            return int(blob.size)

    def folder(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """See Objects."""
        with self._errors(prefix, lists=True):
            found = self._bucket.list_blobs(prefix=prefix or None, delimiter="/", **self._how)
            objects = [Listed(blob.name, int(blob.size)) for blob in found if blob.name != prefix]
            return objects, sorted(name.rstrip("/") for name in found.prefixes)

    def walk(self, prefix: str) -> Iterator[Listed]:
        """See Objects."""
        with self._errors(prefix, lists=True):
            for blob in self._bucket.list_blobs(prefix=prefix or None, **self._how):
                yield Listed(blob.name, int(blob.size))

    def delete(self, key: str) -> None:
        """See Objects."""
        with suppress(ObjectMissingError), self._errors(key):
            self._bucket.blob(key).delete(**self._how)

    @property
    def _bucket(self) -> Any:
        """The bucket of this thread's own client, whose session isn't thread-safe."""
        if not hasattr(self._of_thread, "bucket"):
            os.environ.setdefault(_NO_EXTRA_REQUESTS, "true")
            from google.cloud.storage import Client

            self._of_thread.bucket = Client(project="none").bucket(self._bucket_name)
        return self._of_thread.bucket

    @contextmanager
    def _errors(self, key: str, *, writes: bool = False, lists: bool = False) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError, TransportError
        from requests.exceptions import RequestException

        try:
            yield
        except PreconditionFailed:
            raise ObjectExistsError(f"{self._name}/{key}: exists already") from None
        except NotFound as error:
            if writes or lists or "bucket" in str(error.message):
                raise PlaceError(f"{self._name}: there is no such bucket") from None
            raise ObjectMissingError(f"{self._name}/{key}: no such object") from None
        except GoogleAPICallError as error:
            said = f"{error.code} {type(error).__name__}"
            if error.code in _TRANSIENT:
                raise UnavailableError(f"{self._name}/{key}: {said}") from None
            raise PlaceError(f"{self._name}/{key}: the store refuses it: {said}") from None
        except (RequestException, TransportError, ConnectionError) as error:
            raise UnavailableError(f"{self._name}/{key}: no answer ({type(error).__name__})") from None
        except GoogleAuthError as error:
            raise PlaceError(
                f"{self._name}: no credentials ({type(error).__name__}); `gcloud auth application-default login`, or"
                " run where the machine has a service account"
            ) from None
