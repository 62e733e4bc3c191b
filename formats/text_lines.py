"""JSON Lines files, and how files of text lines are split."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, cast

import numpy as np
import numpy.typing as npt

from tandem.formats.avro_types import SourceFields
from tandem.formats.eight_bytes import PAD
from tandem.formats.file_pieces import MAX_RECORD, FilePiece, FileRef, open_file
from tandem.formats.json_messages import parse_json
from tandem.formats.texts import Texts, lines_in
from tandem.formats.verdicts import DECODE, Parsed, joined
from tandem.schemas.errors import SourceFileError

__all__ = ["BOM", "CHUNK", "open_text", "read_lines", "split_lines"]

BOM: Final = b"\xef\xbb\xbf"
CHUNK: Final = 8 * 1024 * 1024
"""Bytes read at a time."""
MAX_LINE: Final = 10 * 1024 * 1024
"""A longer line is a dead letter; one of more than MAX_RECORD bytes shows that this is no file of lines."""


@contextmanager
def open_text(ref: FileRef) -> Iterator[IO[bytes]]:
    """The file's text, unzipped. Raises SourceFileError while it is read if the gzip stream is damaged or cut
    short.
    """
    with open_file(ref) as file:
        if not ref.compression:
            yield file
            return
        try:
            with gzip.open(file) as plain:
                yield cast(IO[bytes], plain)
        except EOFError:
            raise SourceFileError(f"{ref.path}: cut short: the gzip stream has no end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise SourceFileError(f"{ref.path}: damaged gzip stream: {error}") from None


def split_lines(ref: FileRef, target_bytes: int, splittable: bool = True) -> list[FilePiece]:
    """Stretches of whole lines of about `target_bytes` each. A gzipped file is one piece, and is unzipped
    once to check it.
    """
    with open_text(ref) as file:
        if ref.compression:
            size = 0
            while chunk := file.read(CHUNK):
                size += len(chunk)
            return [FilePiece(ref, 0, size)]
        bounds = [0]
        while splittable and bounds[-1] + target_bytes < ref.size:
            file.seek(bounds[-1] + target_bytes - 1)
            end = _next_line(file, bounds[-1] + target_bytes - 1)
            if end >= ref.size:
                break
            bounds.append(end)
    ends = [*bounds[1:], ref.size]
    return [FilePiece(ref, start, end, 0 if start == 0 else None) for start, end in zip(bounds, ends, strict=True)]


def _next_line(file: IO[bytes], at: int) -> int:
    """Where the first line behind byte `at` starts, or the file's size."""
    while chunk := file.read(1 << 16):
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(chunk)
    return at


def read_lines(fields: SourceFields, columns: tuple[str, ...], piece: FilePiece) -> Iterator[tuple[Parsed, Texts]]:
    """The needed fields of the piece's lines, and the lines; blank lines are no records."""
    for lines in _line_batches(piece):
        parsed = _parse_lines(fields, columns, lines)
        if any(_is_blank(lines[row]) for row in parsed.faults):
            # Hardly any file has blank lines: looking at each line for them would take longer than this.
            lines = lines.pick(np.array([not _is_blank(lines[row]) for row in range(len(lines))]))
            if not len(lines):
                continue
            parsed = _parse_lines(fields, columns, lines)
        yield parsed, lines


def _is_blank(line: bytes) -> bool:
    return not line or line.isspace()


def _parse_lines(fields: SourceFields, columns: tuple[str, ...], lines: Texts) -> Parsed:
    sizes = lines.sizes
    long = np.flatnonzero(sizes > MAX_LINE)
    if not len(long):
        return parse_json(fields, columns, lines)
    others = np.flatnonzero(sizes <= MAX_LINE)
    refused = {row: (DECODE, f"{sizes[row]:,} bytes; {MAX_LINE:,} are allowed") for row in long.tolist()}
    return joined([(others, parse_json(fields, columns, lines.pick(others)))], refused)


def _line_batches(piece: FilePiece) -> Iterator[Texts]:
    """The piece's lines, of about CHUNK bytes at a time."""
    rest = np.empty(0, np.uint8)
    with open_text(piece.ref) as file:
        file.seek(piece.start)
        at = piece.start
        while at < piece.end:
            size = min(CHUNK, piece.end - at)
            buffer = _room(rest, size)
            _fill(file, buffer[len(buffer) - PAD - size : len(buffer) - PAD], piece)
            begin = PAD + len(BOM) if at == 0 and buffer[PAD : PAD + len(BOM)].tobytes() == BOM else PAD
            at += size
            lines = lines_in(buffer, begin, last=at == piece.end)
            rest = buffer[lines.ends[-1] + 1 if len(lines) else begin : len(buffer) - PAD]
            if len(lines):
                yield lines
            elif len(rest) > MAX_RECORD:
                raise SourceFileError(f"{piece.ref.path}: not a file of lines: one has more than {MAX_RECORD:,} bytes")


def _room(rest: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """The begun line, room for `size` bytes, and PAD zeros on either side."""
    buffer = np.empty(PAD + len(rest) + size + PAD, np.uint8)
    buffer[:PAD] = buffer[len(buffer) - PAD :] = 0
    buffer[PAD : PAD + len(rest)] = rest
    return buffer


def _fill(file: IO[bytes], room: npt.NDArray[np.uint8], piece: FilePiece) -> None:
    view = memoryview(room.data)
    while len(view):
        count = cast(io.BufferedIOBase, file).readinto(view)
        if not count:
            raise SourceFileError(f"{piece.ref.path}: cut short while it was read")
        view = view[count:]
