"""Data files and pieces of them; where they lie and how they are opened."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final, Literal, cast

import pyarrow as pa
from pyarrow import fs

from schemas.errors import SourceFileError

__all__ = [
    "MAX_PIECE_MEMORY",
    "MAX_RECORD",
    "FileFormat",
    "FilePiece",
    "FileRef",
    "one_line",
    "open_file",
    "open_native",
    "storage_of",
    "takes_too_much",
]

MAX_RECORD: Final = 64 * 1024 * 1024
"""Bytes of the longest line of text that is read into memory."""
MAX_PIECE_MEMORY: Final = 512 * 1024 * 1024
"""Bytes of memory that reading one piece of a file may take, unless --max-piece-memory says otherwise."""
_READ: Final = 1 << 20

FileFormat = Literal["avro", "parquet", "jsonl", "csv"]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A data file as it was when it was listed."""

    path: str
    size: int
    """Bytes."""
    digest: str
    """BLAKE2b-256 of its bytes, in hex."""
    format: FileFormat
    compressed: bool = False
    """Whether the file is gzipped."""
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


def storage_of(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI (gs://, s3://, file://), and the path in it."""
    if "://" not in path:
        return fs.LocalFileSystem(), path
    try:
        system, inner = fs.FileSystem.from_uri(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceFileError(f"{path}: {one_line(error)}") from None
    return system, inner


@contextmanager
def open_native(ref: FileRef) -> Iterator[pa.NativeFile]:
    """The file for Arrow's own readers, without Python between. Raises SourceFileError if it can't be read or has
    another size than when listed.
    """
    system, path = storage_of(ref.path)
    try:
        with system.open_input_file(path) as file:
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
    """The error for a file that unfolds to more than its pieces may take; `where` is a place in it, such as
    'row group 3', and `needed` how many bytes it asks for, where that is known.
    """
    found = f"takes {needed:,} bytes of memory" if needed is not None else "takes more memory than that"
    return SourceFileError(
        f"{ref.path}: {where} {found}; a piece may take {ref.memory:,}, and --max-piece-memory allows more"
    )


def one_line(error: BaseException) -> str:
    """What an error of a library says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
