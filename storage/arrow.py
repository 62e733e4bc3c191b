"""The objects of a scheme as an Arrow file system; its paths are BUCKET/KEY."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

from pyarrow import NativeFile, PythonFile, fs

from tandem.storage.objects import ObjectMissingError, Objects
from tandem.storage.opening import objects_at
from tandem.storage.urls import Location, location

__all__ = ["ObjectFiles", "file_system"]

_READ_AHEAD: Final = 8 << 20
"""Least number of bytes requested at once from a file that is read in order."""
_LEAST: Final = 64 << 10


def file_system(scheme: str) -> fs.FileSystem:
    """A file system of all buckets of this scheme."""
    return fs.PyFileSystem(ObjectFiles(scheme))


class ObjectFiles(fs.FileSystemHandler):  # type: ignore[misc]
    """A file system over `Objects`. Arrow's own clients have other names for credentials and endpoints; so all of
    Tandem uses one.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectFiles) and other._scheme == self._scheme

    def __hash__(self) -> int:
        return hash(self._scheme)

    def get_type_name(self) -> str:
        """See FileSystemHandler."""
        return self._scheme

    def normalize_path(self, path: str) -> str:
        """See FileSystemHandler."""
        return path.rstrip("/")

    def get_file_info(self, paths: Iterable[str]) -> list[fs.FileInfo]:
        """See FileSystemHandler."""
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> fs.FileInfo:
        objects, place = self._at(path)
        if place.key:
            try:
                return fs.FileInfo(path, fs.FileType.File, size=objects.size(place.key))
            except ObjectMissingError:
                pass
        held = any(objects.folder(f"{place.key}/" if place.key else ""))
        return fs.FileInfo(path, fs.FileType.Directory if held else fs.FileType.NotFound)

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """See FileSystemHandler. Folders are listed only without recursion: in a bucket there are none."""
        objects, place = self._at(selector.base_dir)
        prefix = f"{place.key}/" if place.key else ""
        listed, folders = (list(objects.walk(prefix)), []) if selector.recursive else objects.folder(prefix)
        files = [
            fs.FileInfo(f"{place.bucket}/{one.key}", fs.FileType.File, size=one.size)
            for one in listed
            if not one.key.endswith("/")
        ]
        return [*files, *(fs.FileInfo(f"{place.bucket}/{name}", fs.FileType.Directory) for name in folders)]

    def open_input_file(self, path: str) -> NativeFile:
        """See FileSystemHandler."""
        return PythonFile(self._reader(path), mode="r")

    def open_input_stream(self, path: str) -> NativeFile:
        """See FileSystemHandler."""
        return self.open_input_file(path)

    def open_output_stream(self, path: str, metadata: object) -> NativeFile:
        """See FileSystemHandler. The object appears when the stream is closed."""
        return PythonFile(_Writer(*self._key(path)), mode="w")

    def create_dir(self, path: str, recursive: bool) -> None:
        """See FileSystemHandler. Buckets have no folders to create."""

    def delete_dir(self, path: str) -> None:
        """See FileSystemHandler."""
        objects, key = self._key(path)
        for one in list(objects.walk(f"{key}/")):
            objects.delete(one.key)

    def delete_file(self, path: str) -> None:
        """See FileSystemHandler."""
        objects, key = self._key(path)
        objects.delete(key)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """See FileSystemHandler."""
        self.delete_dir(path)

    def delete_root_dir_contents(self) -> None:
        """See FileSystemHandler."""
        raise NotImplementedError("all buckets at once")

    def move(self, source: str, target: str) -> None:
        """See FileSystemHandler."""
        raise NotImplementedError("objects aren't moved")

    def copy_file(self, source: str, target: str) -> None:
        """See FileSystemHandler."""
        raise NotImplementedError("objects aren't copied")

    def open_append_stream(self, path: str, metadata: object) -> NativeFile:
        """See FileSystemHandler."""
        raise NotImplementedError("objects aren't appended to")

    def _at(self, path: str) -> tuple[Objects, Location]:
        place = location(f"{self._scheme}://{path}")
        return objects_at(place), place

    def _key(self, path: str) -> tuple[Objects, str]:
        objects, place = self._at(path)
        return objects, place.key

    def _reader(self, path: str) -> _Reader:
        objects, key = self._key(path)
        try:
            return _Reader(objects, key, objects.size(key))
        except ObjectMissingError as error:
            raise FileNotFoundError(2, "No such object", str(error)) from None


class _Reader(io.RawIOBase):
    """An object's bytes by ranges, with read-ahead for reading in order."""

    def __init__(self, objects: Objects, key: str, size: int) -> None:
        self._objects, self._key, self._size = objects, key, size
        self._at = self._start = 0
        self._held = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence], 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        return self._next(self._size - self._at if size is None or size < 0 else size)

    def _next(self, size: int) -> bytes:
        size = max(min(size, self._size - self._at), 0)
        if not self._start <= self._at <= self._at + size <= self._start + len(self._held):
            in_order = self._at == self._start + len(self._held)
            self._held = self._objects.get(self._key, self._at, max(size, _READ_AHEAD if in_order else _LEAST))
            self._start = self._at
        data = self._held[self._at - self._start : self._at - self._start + size]
        if len(data) < size:
            raise OSError(f"{self._key}: {len(data)} bytes at {self._at} instead of {size}: it was replaced")
        self._at += size
        return data


class _Writer(io.BytesIO):
    """Writes an object when it is closed."""

    def __init__(self, objects: Objects, key: str) -> None:
        super().__init__()
        self._objects, self._key = objects, key

    def close(self) -> None:
        if not self.closed:
            self._objects.put(self._key, self.getvalue())
        super().close()
