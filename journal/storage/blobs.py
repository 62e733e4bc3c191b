"""The storage of the journal's bytes: a folder, or an object store, behind the same few operations.

Authoritative data is written with `create`, which never overwrites. `replace` and `remove` are for data whose loss is
harmless: heartbeats and published watermarks.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tandem.schemas.errors import JournalError
from tandem.schemas.failpoints import Failpoint, reached
from tandem.schemas.privacy.files import make_folder as make_private_folder
from tandem.schemas.privacy.files import private

__all__ = ["BlobExistsError", "BlobMissingError", "BlobStore", "LocalBlobs", "create_or_find", "path_parts"]

CREATE_ATTEMPTS = 3


class BlobExistsError(JournalError):
    """`create` found a blob of this name, and left it unchanged."""


class BlobMissingError(JournalError):
    """There is no blob of this name."""


class BlobStore(Protocol):
    """Blobs under slash-separated relative paths. Listing sees every blob whose `create` returned.

    Any operation may raise OSError (TimeoutError among them); it may have taken effect then, or not.
    """

    def create(self, path: str, data: bytes) -> None:
        """Write a new blob, durable when this returns. Raises BlobExistsError for an existing one."""
        ...

    def read(self, path: str) -> bytes:
        """All bytes. Raises BlobMissingError."""
        ...

    def head(self, path: str, limit: int) -> bytes:
        """The first at most `limit` bytes. Raises BlobMissingError."""
        ...

    def exists(self, path: str) -> bool:
        """Whether a blob of this name exists."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Sorted names of the folders directly in the folder `prefix`; [] without it."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Sorted names (the last part of the path) of the blobs directly in folder `prefix`; [] without any."""
        ...

    def size(self, path: str) -> int:
        """Bytes. Raises BlobMissingError."""
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Write or overwrite atomically: only heartbeats and published watermarks, never authoritative data."""
        ...

    def remove(self, path: str) -> None:
        """Remove if present: only superseded published watermarks, never authoritative data."""
        ...


def create_or_find(blobs: BlobStore, path: str, data: bytes) -> bytes | None:
    """Create a blob that holds its writer's nonce: None if this call created it, else the existing bytes.

    A store may time out on a write that took effect, so an existing blob with the very same bytes is this call's own
    success. OSError is retried up to CREATE_ATTEMPTS attempts in all; when it is raised the outcome is unknown.
    """
    for attempt in range(1, CREATE_ATTEMPTS + 1):
        try:
            blobs.create(path, data)
        except BlobExistsError:
            found = blobs.read(path)
            return None if found == data else found
        except OSError:
            if attempt == CREATE_ATTEMPTS:
                raise
        else:
            return None
    raise AssertionError("unreachable")


def path_parts(path: str) -> list[str]:
    """The components of a blob's path. Raises JournalError where the path would leave its store."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise JournalError(f"{path}: a blob's path is relative and stays inside its store")
    return parts


class LocalBlobs:
    """Blobs as files under a folder of a POSIX file system with hard links.

    A name appears by os.link from a flushed temporary file: never half a blob, never over an existing one.
    Temporary files that a crash leaves behind start with a dot and are never listed.
    """

    def __init__(self, root: str | Path, failpoint: Failpoint = reached) -> None:
        self.root = str(root)
        self._failpoint = failpoint

    def __repr__(self) -> str:
        return f"LocalBlobs({self.root!r})"

    def create(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        target = self._path(path)
        with self._temporary(target, data) as temporary:
            self._failpoint("after-flush")
            try:
                os.link(temporary, target)
            except FileExistsError:
                # the creator of the name may have died before the folder was flushed
                _flush_folder(target.parent)
                raise BlobExistsError(f"{path}: exists already") from None
            self._failpoint("after-link")
            _flush_folder(target.parent)

    def read(self, path: str) -> bytes:
        """See BlobStore."""
        try:
            return self._path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissingError(f"{path}: no such blob in {self.root}") from None

    def head(self, path: str, limit: int) -> bytes:
        """See BlobStore."""
        try:
            with self._path(path).open("rb") as file:
                return file.read(limit)
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissingError(f"{path}: no such blob in {self.root}") from None

    def exists(self, path: str) -> bool:
        """See BlobStore."""
        return self._path(path).is_file()

    def folders(self, prefix: str) -> list[str]:
        """See BlobStore."""
        try:
            with os.scandir(self._path(prefix) if prefix else self.root) as entries:
                return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def list(self, prefix: str) -> list[str]:
        """See BlobStore."""
        try:
            with os.scandir(self._path(prefix)) as entries:
                return sorted(e.name for e in entries if e.is_file() and not e.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def size(self, path: str) -> int:
        """See BlobStore."""
        try:
            return self._path(path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissingError(f"{path}: no such blob in {self.root}") from None

    def replace(self, path: str, data: bytes) -> None:
        """See BlobStore. Not flushed: losing it costs a moment of waiting, never authoritative data."""
        target = self._path(path)
        with self._temporary(target, data, flush=False) as temporary:
            os.replace(temporary, target)

    def remove(self, path: str) -> None:
        """See BlobStore."""
        with suppress(FileNotFoundError):
            self._path(path).unlink()

    def _path(self, path: str) -> Path:
        return Path(self.root, *path_parts(path))

    @contextmanager
    def _temporary(self, target: Path, data: bytes, flush: bool = True) -> Iterator[Path]:
        _make_folder(target.parent)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
        try:
            with _named(temporary), open(temporary, "xb", opener=private) as file:
                file.write(data)
                if flush:
                    self._failpoint("after-write")
                    file.flush()
                    os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the file's name to errors of an open file, such as a full disk's."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each durably in the folder that holds it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    make_private_folder(folder)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
