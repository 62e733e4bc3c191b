"""Data files and pieces of them; where they lie and how they are opened."""

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
"""Bytes of memory that reading one piece of a file may take, unless --max-piece-memory says otherwise."""
_READ: Final = 1 << 20

FileFormat = Literal["avro", "parquet", "jsonl", "json", "csv", "tsv"]
Compression = Literal["", "gzip", "bz2", "zstd"]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A data file as it was when it was listed."""

    path: str
    """A path or URI, in Unicode: see `path_text`."""
    size: int
    """Bytes."""
    digest: str
    """BLAKE3 of its bytes, in hex."""
    format: FileFormat
    compression: Compression = ""
    """How the whole file is packed; '' if it isn't."""
    memory: int = MAX_PIECE_MEMORY
    """Bytes of memory that reading one of its pieces may take."""


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A stretch of a file that can be read by itself.

    `start` (included) to `end` (excluded) are bytes, or row groups of a Parquet file.
    """

    ref: FileRef
    start: int
    end: int
    first: int | None = 0
    """Index in the file of the piece's first record; None where it isn't known without reading what is
    before.
    """
    records: int | None = None
    """How many records the piece has, if that is known without reading it."""

    def position(self, row: int) -> str:
        """Where the piece's record `row` (as in Decoded.rows) is found."""
        if self.first is not None:
            return f"{self.ref.path}: record {self.first + row}"
        return f"{self.ref.path}: record {row} from byte {self.start} on"


def local_path(path: str) -> str | None:
    """The path on this machine that a path or file:// URI names; None for a URI of other storage."""
    if path.startswith("file://"):
        return unquote(urlsplit(path.replace("?", "%3F").replace("#", "%23")).path, errors="surrogateescape")
    return None if "://" in path and not os.path.lexists(path) else path


def path_text(path: str) -> str:
    """A path of this machine as text that can be stored and shown: a file:// URI for a name that isn't UTF-8."""
    raw = os.fsencode(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"file://{quote(raw)}"


def storage_of(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI (gs://, s3://, file://), and the path in it."""
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
    """The file for Arrow's own readers, without Python between. Raises SourceFileError if it can't be read or has
    another size than when listed.
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
    """The file's bytes, seekable. Raises as `open_native`."""
    with open_native(ref) as file:
        yield cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, file), _READ))


def takes_too_much(ref: FileRef, where: str, needed: int | None = None) -> SourceFileError:
    """The error for a file that unfolds to more than its pieces may take.

    `where`: a place in it, such as 'row group 3'. `needed`: how many bytes it asks for, where that is known.
    """
    found = f"takes {needed:,} bytes of memory" if needed is not None else "takes more memory than that"
    return SourceFileError(
        f"{ref.path}: {where} {found}; a piece may take {ref.memory:,}, and --max-piece-memory allows more"
    )


def one_line(error: BaseException) -> str:
    """What an error of a library says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
