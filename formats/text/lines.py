"""Reads JSON Lines files, and splits files of text lines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Final, cast

import numpy as np
import numpy.typing as npt

from tandem.formats.avro.types import SourceFields
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, joined
from tandem.formats.files.pieces import MAX_RECORD, FilePiece, FileRef
from tandem.formats.json.messages import parse_json
from tandem.formats.text.buffers import Texts, lines_in
from tandem.formats.text.eight_bytes import PAD
from tandem.formats.text.streams import BOM, UTF_8, is_plain, open_text, text_size
from tandem.schemas.errors import SourceFileError

__all__ = ["CHUNK", "MAX_LINE", "MOST_LINES", "Reading", "endless", "read_lines", "split_lines"]

CHUNK: Final = 8 * 1024 * 1024
"""Bytes read at a time."""
MOST_LINES: Final = 1 << 16
"""Lines that are parsed together: a bad one takes several hundred bytes."""
MAX_LINE: Final = 10 * 1024 * 1024
"""Bytes; a longer line is a dead letter, and one of more than MAX_RECORD bytes an error of the file."""
_RETURN: Final = 13


class Reading:
    """Limits on how much of a file is in memory at a time, from the memory that its pieces may take."""

    def __init__(self, ref: FileRef) -> None:
        self.chunk = min(CHUNK, ref.memory // 64)
        self.lines = min(MOST_LINES, ref.memory // 2048)
        self.longest = min(MAX_RECORD, ref.memory // 8)
        """Bytes of the longest line that is read into memory."""


def split_lines(ref: FileRef, target_bytes: int, encoding: str = UTF_8, *, splittable: bool = True) -> list[FilePiece]:
    """Pieces of whole lines of about `target_bytes` each. A compressed file, or one in another encoding, is one piece,
    and is read once to check it.
    """
    if not is_plain(ref, encoding):
        return [FilePiece(ref, 0, text_size(ref, encoding))]
    with open_text(ref) as file:
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
    """The start of the first line behind byte `at`, or the file's size."""
    while chunk := file.read(1 << 16):
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(chunk)
    return at


def read_lines(
    fields: SourceFields, columns: tuple[str, ...], piece: FilePiece, encoding: str = UTF_8
) -> Iterator[tuple[Parsed, Texts]]:
    """The needed fields of the piece's lines, and the lines; blank lines are no records."""
    for lines in _line_batches(piece, encoding):
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


def _line_batches(piece: FilePiece, encoding: str) -> Iterator[Texts]:
    """The piece's lines that aren't empty, in batches of about a chunk's bytes."""
    rest, reading = np.empty(0, np.uint8), Reading(piece.ref)
    with open_text(piece.ref, encoding) as file:
        if piece.start:
            file.seek(piece.start)
        at = piece.start
        while at < piece.end:
            size = min(reading.chunk, piece.end - at)
            buffer = _room(rest, size)
            _fill(file, buffer[len(buffer) - PAD - size : len(buffer) - PAD], piece)
            begin = PAD + len(BOM) if at == 0 and buffer[PAD : PAD + len(BOM)].tobytes() == BOM else PAD
            at += size
            for lines in lines_in(buffer, begin, last=at == piece.end, most=reading.lines):
                begin = int(lines.ends[-1]) + 1
                if len(filled := _not_empty(lines)):
                    yield filled
            rest = buffer[begin : len(buffer) - PAD]
            if len(rest) > reading.longest:
                raise endless(piece.ref, at - len(rest), reading)


def _not_empty(lines: Texts) -> Texts:
    """The lines without those of nothing but a line end: there may be millions."""
    short = lines.sizes < 2
    if not short.any():
        return lines
    return lines.pick(~(short & ((lines.sizes == 0) | (lines.buffer[lines.starts] == _RETURN))))


def endless(ref: FileRef, at: int, reading: Reading) -> SourceFileError:
    """The error for a line that starts at byte `at` and is too long."""
    more = "; --max-piece-memory allows more" if reading.longest < MAX_RECORD else ""
    return SourceFileError(
        f"{ref.path}: not a file of lines: the one at byte {at:,} has more than {reading.longest:,} bytes{more}"
    )


def _room(rest: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """A buffer with the begun line, room for `size` bytes, and PAD zeros at both ends."""
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
