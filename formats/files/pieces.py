"""Data files and their pieces: storage, paths, and opening."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final, Literal, cast
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from tandem.schemas.errors import SourceFileError
from tandem.storage.arrow import file_system
from tandem.storage.urls import SCHEMES

__all__ = [
    "MAX_PIECE_MEMORY",
    "MAX_RECORD",
    "Compression",
    "FileFormat",
    "FilePiece",
    "FileRef",
    "local_path",
    "one_line",
    "open_file",
    "open_native",
    "open_stream",
    "path_text",
    "storage_of",
    "takes_too_much",
]

MAX_RECORD: Final = 64 * 1024 * 1024
"""Bytes of the longest line of text that is read into memory."""
MAX_PIECE_MEMORY: Final = 512 * 1024 * 1024
"""Bytes of memory that reading one piece of a file may take, by default (`--max-piece-memory`)."""
_READ: Final = 1 << 20

FileFormat = Literal["avro", "parquet", "jsonl", "json", "csv", "tsv"]
Compression = Literal["", "gzip", "bz2", "zstd"]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A data file as listed."""

    path: str
    """A path or URI, in Unicode: see `path_text`."""
    size: int
    """The file's size in bytes."""
    digest: str
    """BLAKE3 of its bytes, in hex."""
    format: FileFormat
    compression: Compression = ""
    """The compression of the whole file; '' for none."""
    memory: int = MAX_PIECE_MEMORY
    """Bytes of memory that reading one of its pieces may take."""


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A part of a file that can be read by itself.

    `start` (included) to `end` (excluded) are bytes, or row groups of a Parquet file.
    """

    ref: FileRef
    start: int
    end: int
    first: int | None = 0
    """The index in the file of the piece's first record; None where only reading the file up to it would tell."""
    records: int | None = None
    """The number of the piece's records, if it is known without reading."""

    def position(self, row: int) -> str:
        """The place of the piece's record `row` (as in Decoded.rows), in words."""
        if self.first is not None:
            return f"{self.ref.path}: record {self.first + row}"
        return f"{self.ref.path}: record {row} from byte {self.start} on"


def local_path(path: str) -> str | None:
    """The path on this machine of a path or file:// URI; None for a URI of other storage."""
    if path.startswith("file://"):
        return unquote(urlsplit(path.replace("?", "%3F").replace("#", "%23")).path, errors="surrogateescape")
    return None if "://" in path and not os.path.lexists(path) else path


def path_text(path: str) -> str:
    """A path of this machine as text for storing and showing: a file:// URI if the name isn't UTF-8."""
    raw = os.fsencode(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"file://{quote(raw)}"


def storage_of(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI (gs://, s3://, file://), and the path within it."""
    local = local_path(path)
    if local is not None:
        return fs.LocalFileSystem(), local
    scheme, _, inner = path.partition("://")
    if scheme in SCHEMES:
        return file_system(scheme), inner
    try:
        system, inner = fs.FileSystem.from_uri(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceFileError(f"{path}: {one_line(error)}") from None
    return system, inner


def open_stream(path: str) -> pa.NativeFile:
    """The bytes at a path or URI, from the first on. Raises OSError, ArrowException or SourceFileError."""
    system, inner = storage_of(path)
    if path_text(inner) != inner:
        return pa.PythonFile(io.FileIO(inner), "r")  # Arrow takes Unicode names only
    return system.open_input_stream(inner, compression=None)


@contextmanager
def open_native(ref: FileRef) -> Iterator[pa.NativeFile]:
    """The file for Arrow's own readers, without Python in between. Raises SourceFileError if it is unreadable or its
    size has changed since it was listed.
    """
    system, path = storage_of(ref.path)
    try:
        opened = system.open_input_file(path) if path_text(path) == path else pa.PythonFile(io.FileIO(path), "r")
        with opened as file:
            if file.size() != ref.size:
                raise SourceFileError(f"{ref.path}: {file.size()} bytes; it had {ref.size} when it was listed")
            yield file
    except OSError as error:
        raise SourceFileError(f"{ref.path}: {one_line(error)}") from None


@contextmanager
def open_file(ref: FileRef) -> Iterator[IO[bytes]]:
    """The file's bytes, seekable. Raises the errors of `open_native`."""
    with open_native(ref) as file:
        yield cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, file), _READ))


def takes_too_much(ref: FileRef, where: str, needed: int | None = None) -> SourceFileError:
    """The error for a file that takes more memory than its pieces may.

    `where`: a place in it, such as 'row group 3'. `needed`: the bytes that it needs, if known.
    """
    found = f"takes {needed:,} bytes of memory" if needed is not None else "takes more memory than that"
    return SourceFileError(
        f"{ref.path}: {where} {found}; a piece may take {ref.memory:,}, and --max-piece-memory allows more"
    )


def one_line(error: BaseException) -> str:
    """A library's error message, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
