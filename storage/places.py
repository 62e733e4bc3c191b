"""Immutable files below a folder or a bucket's prefix: written once, read by ranges, removed when unneeded."""

from __future__ import annotations

import os
import secrets
from collections.abc import Hashable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.files import make_folder, private
from tandem.storage.objects import Listed, ObjectExistsError, ObjectMissingError, Objects
from tandem.storage.opening import objects_at
from tandem.storage.urls import Location, is_url, location

__all__ = ["FolderPlace", "ObjectPlace", "Place", "open_place"]


class Place(Protocol):
    """Files under slash-separated relative paths. A listing sees every file whose `create` returned.

    Any operation may raise OSError (TimeoutError among them) and PlaceError.
    """

    root: str

    def create(self, path: str, data: bytes) -> None:
        """Write a new file, which is durable on return. Raises ObjectExistsError for an existing one."""
        ...

    def get(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        """At most `size` bytes from `start` on. Raises ObjectMissingError."""
        ...

    def size(self, path: str) -> int:
        """The size in bytes. Raises ObjectMissingError."""
        ...

    def identity(self, path: str) -> Hashable:
        """What is another once the file has been replaced or changed by others; the same for all time where that isn't
        known without a request. Raises ObjectMissingError.
        """
        ...

    def walk(self, prefix: str) -> Iterator[Listed]:
        """All files in and below the folder `prefix`, by their whole paths."""
        ...

    def remove(self, path: str) -> None:
        """Remove the file if it exists."""
        ...


def open_place(place: str) -> Place:
    """The files at a folder or URL; nothing is read yet. Raises UserError for an invalid URL."""
    if not is_url(place):
        return FolderPlace(place)
    found = location(place)
    return ObjectPlace(objects_at(found), found)


class FolderPlace:
    """See Place: files of this machine. A name appears by a hard link from a flushed temporary file."""

    def __init__(self, root: str) -> None:
        self.root = root

    def create(self, path: str, data: bytes) -> None:
        """See Place."""
        target = self._path(path)
        make_folder(target.parent)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
        try:
            with open(temporary, "xb", opener=private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, target)
            except FileExistsError:
                raise ObjectExistsError(f"{target}: exists already") from None
            finally:
                _flush_folder(target.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()

    def get(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        """See Place."""
        target = self._path(path)
        try:
            with open(target, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size - start if size is None else size
                return os.pread(file.fileno(), max(size, 0), start)
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissingError(f"{target}: no such file") from None

    def size(self, path: str) -> int:
        """See Place."""
        return self._stat(path).st_size

    def identity(self, path: str) -> Hashable:
        """See Place."""
        found = self._stat(path)
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def walk(self, prefix: str) -> Iterator[Listed]:
        """See Place. It includes temporary files of killed writers, which begin with a dot."""
        for folder, folders, names in os.walk(self._path(prefix)):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                with suppress(FileNotFoundError):
                    yield Listed(os.path.relpath(path, self.root), os.stat(path).st_size)

    def remove(self, path: str) -> None:
        """See Place. A folder that is then empty is removed, too."""
        target = self._path(path)
        with suppress(FileNotFoundError):
            target.unlink()
        with suppress(OSError):
            target.parent.rmdir()

    def _stat(self, path: str) -> os.stat_result:
        target = self._path(path)
        try:
            return target.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissingError(f"{target}: no such file") from None

    def _path(self, path: str) -> Path:
        parts = path.split("/")
        if path.startswith("/") or ".." in parts:
            raise UserError(f"{path}: a path is relative and stays inside {self.root}")
        return Path(self.root, *parts)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ObjectPlace:
    """See Place: objects below a prefix of a bucket."""

    def __init__(self, objects: Objects, place: Location) -> None:
        self.root = str(place)
        self._objects = objects
        self._prefix = f"{place.key}/" if place.key else ""

    def create(self, path: str, data: bytes) -> None:
        """See Place."""
        self._objects.create(self._prefix + path, data)

    def get(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        """See Place."""
        return self._objects.get(self._prefix + path, start, size)

    def size(self, path: str) -> int:
        """See Place."""
        return self._objects.size(self._prefix + path)

    def identity(self, path: str) -> Hashable:
        """See Place: nothing is asked of the server."""
        return self._prefix + path

    def walk(self, prefix: str) -> Iterator[Listed]:
        """See Place."""
        for one in self._objects.walk(f"{self._prefix}{prefix}/" if prefix else self._prefix):
            yield Listed(one.key[len(self._prefix) :], one.size)

    def remove(self, path: str) -> None:
        """See Place."""
        self._objects.delete(self._prefix + path)
