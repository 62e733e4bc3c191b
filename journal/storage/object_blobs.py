"""Blobs as objects below a prefix of a bucket."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tandem.journal.storage.blobs import BlobExistsError, BlobMissingError, path_parts
from tandem.schemas.errors import PlaceError
from tandem.storage.objects import ObjectExistsError, ObjectMissingError, Objects
from tandem.storage.urls import Location

__all__ = ["ObjectBlobs"]


class ObjectBlobs:
    """See BlobStore. Operations are retried where that may help; see tandem.storage.retrying."""

    def __init__(self, objects: Objects, place: Location) -> None:
        self.root = str(place)
        self._objects = objects
        self._prefix = f"{place.key}/" if place.key else ""

    def __repr__(self) -> str:
        return f"ObjectBlobs({self.root!r})"

    def create(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        with self._named(path):
            self._objects.create(self._key(path), data)

    def read(self, path: str) -> bytes:
        """See BlobStore."""
        with self._named(path):
            return self._objects.get(self._key(path))

    def head(self, path: str, limit: int) -> bytes:
        """See BlobStore."""
        with self._named(path):
            return self._objects.get(self._key(path), 0, limit)

    def exists(self, path: str) -> bool:
        """See BlobStore."""
        try:
            self._objects.size(self._key(path))
        except ObjectMissingError:
            return False
        return True

    def folders(self, prefix: str) -> list[str]:
        """See BlobStore."""
        folder = self._folder(prefix)
        return sorted(name[len(folder) :] for name in self._objects.folder(folder)[1])

    def list(self, prefix: str) -> list[str]:
        """See BlobStore."""
        folder = self._folder(prefix)
        names = (one.key[len(folder) :] for one in self._objects.folder(folder)[0])
        return sorted(name for name in names if name)

    def size(self, path: str) -> int:
        """See BlobStore."""
        with self._named(path):
            return self._objects.size(self._key(path))

    def replace(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        self._objects.put(self._key(path), data)

    def remove(self, path: str) -> None:
        """See BlobStore."""
        self._objects.delete(self._key(path))

    def prove(self) -> None:
        """Raise PlaceError unless the store can be written and refuses to overwrite: every guarantee of a journal rests
        on it.
        """
        path = f"proofs/{secrets.token_hex(8)}"
        self.create(path, b"first")
        try:
            self.create(path, b"second")
        except BlobExistsError:
            return
        finally:
            self.remove(path)
        raise PlaceError(
            f"{self.root}: this store overwrites what should be created only once (If-None-Match is ignored); a journal"
            " can't lie here"
        )

    def _key(self, path: str) -> str:
        return self._prefix + "/".join(path_parts(path))

    def _folder(self, prefix: str) -> str:
        return self._key(f"{prefix.rstrip('/')}/" if prefix else "")

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        try:
            yield
        except ObjectExistsError:
            raise BlobExistsError(f"{path}: exists already") from None
        except ObjectMissingError:
            raise BlobMissingError(f"{path}: no such blob in {self.root}") from None
