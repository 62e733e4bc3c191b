"""Splits data files into pieces, and reads pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np

from tandem.formats.avro.files import read_avro, split_avro
from tandem.formats.avro.types import SourceFields, source_fields
from tandem.formats.csv.files import read_csv, split_csv
from tandem.formats.dead_letters.verdicts import Parsed, Verdicts
from tandem.formats.files.listing import expand
from tandem.formats.files.partitions import given_by_folders, with_given, without
from tandem.formats.files.pieces import FilePiece, FileRef
from tandem.formats.json.documents import read_json, split_json
from tandem.formats.json.encoding import record_json
from tandem.formats.parquet.files import read_parquet, split_parquet
from tandem.formats.source_spec import PLAIN, SourceSpec, TextSpec
from tandem.formats.text.buffers import Texts
from tandem.formats.text.lines import read_lines, split_lines
from tandem.formats.text.streams import UTF_8
from tandem.formats.validate import assemble
from tandem.schemas.messages import DeadLetter, Decoded

__all__ = ["FilePiece", "FileRef", "expand", "read_piece", "split"]

_ROWS: Final = 1 << 18
"""Most records in one Decoded."""
_LETTERS: Final = 1 << 15
"""Dead letters beyond which a Decoded has fewer records: they take several hundred bytes each."""
_LETTER: Final = 896
"""Bytes that a dead letter takes besides its payload on its way into its file."""
_ROW: Final = 1 << 11
"""Bytes of a piece's memory for each record of one Decoded: all of them may turn out to be dead letters."""
_SHARE: Final = 16
"""The events of one Decoded take this part of a piece's memory at the most, and so do its dead letters."""

Why = tuple[str, str]
"""Stage and reason."""


def split(ref: FileRef, target_bytes: int, source: TextSpec = PLAIN) -> list[FilePiece]:
    """Pieces of about `target_bytes` that can be read independently, in the file's order; each record is in exactly
    one.

    Avro: runs of blocks; Parquet: row groups; JSON Lines and CSV: whole lines. Compressed files, those in another
    encoding than UTF-8, CSV files with quotes, and JSON that isn't one object a line, are one piece. Raises
    SourceFileError for a file that changed, or whose structure shows damage or truncation.
    """
    if target_bytes < 1:
        raise ValueError(f"target_bytes is {target_bytes}; at least 1 is allowed")
    if ref.format == "jsonl":
        return split_lines(ref, target_bytes, source.encoding)
    if ref.format == "json":
        return split_json(ref, target_bytes, source.encoding)
    if ref.format in ("csv", "tsv"):
        return split_csv(ref, target_bytes, source)
    return split_avro(ref, target_bytes) if ref.format == "avro" else split_parquet(ref, target_bytes)


def read_piece(source: SourceSpec, columns: tuple[str, ...], piece: FilePiece, arrival_time: int) -> Iterator[Decoded]:
    """The piece's records, in batches of at most 262,144.

    `Decoded.rows` and `DeadLetter.row` count the piece's records from 0; `piece.position(row)` gives a row's place.
    `arrival_time` (microseconds) replaces the publish time in checking how far ahead an event time is. The payload of a
    dead letter is the line's or row's bytes; of an Avro or Parquet record it is JSON with the fields that were read.
    Raises SchemaError if the file's columns are incompatible, SourceFileError for a damaged file.
    """
    fields = source_fields(source)
    clock = np.array([arrival_time], np.int64)
    done = 0
    given = given_by_folders(source, fields, piece.ref)
    read = tuple(name for name in columns if name not in given)
    for found, raw in _parsed(source, without(fields, given), read, piece):
        parsed = with_given(found, given)
        letters = _most_letters(parsed, raw, piece.ref.memory)
        for part, first in _slices(parsed, letters, piece.ref.memory):
            letter = partial(_letter, source, fields, raw, part, first, done)
            decoded = assemble(fields, columns, part, clock, letter)
            yield from _few_letters(Decoded(decoded.events, decoded.rows + (done + first), decoded.dead), letters)
        done += len(parsed.rows) + len(parsed.faults)


def _parsed(
    source: SourceSpec, fields: SourceFields, columns: tuple[str, ...], piece: FilePiece
) -> Iterator[tuple[Parsed, Texts | list[bytes] | None]]:
    if piece.ref.format == "jsonl":
        yield from read_lines(fields, columns, piece, source.encoding)
    elif piece.ref.format == "json":
        yield from read_json(fields, columns, piece, source.encoding)
    elif piece.ref.format in ("csv", "tsv"):
        yield from read_csv(fields, columns, piece, source)
    else:
        read = read_avro if piece.ref.format == "avro" else read_parquet
        for parsed in read(fields, columns, piece):
            yield parsed, None


def _most_letters(parsed: Parsed, raw: Texts | list[bytes] | None, memory: int) -> int:
    """Dead letters of one Decoded, so that they fit into their part of the memory with what they quote."""
    size = len(parsed.rows) + len(parsed.faults)
    if isinstance(raw, Texts):
        quoted = int(raw.sizes.sum())
    else:
        quoted = sum(map(len, raw)) if raw is not None else _bytes_of(parsed)
    return max(min(_LETTERS, memory // _SHARE // (_LETTER + quoted // max(size, 1))), 1)


def _bytes_of(parsed: Parsed) -> int:
    return sum(array.nbytes for array in parsed.arrays.values())


def _slices(parsed: Parsed, letters: int, memory: int) -> Iterator[tuple[Parsed, int]]:
    """Parts of at most _ROWS records, fewer if many are dead, each with its first record's index."""
    size = len(parsed.rows) + len(parsed.faults)
    most = letters if len(parsed.verdicts.reasons) + len(parsed.faults) > letters else min(_ROWS, memory // _ROW)
    most = min(most, max(memory // _SHARE * size // max(_bytes_of(parsed), 1), 1))
    if size <= most:
        yield parsed, 0
        return
    for start in range(0, size, most):
        low, high = np.searchsorted(parsed.rows, [start, start + most]).tolist()
        reasons = _within(parsed.verdicts.reasons, low, high)
        faults = _within(parsed.faults, start, start + most)
        arrays = {name: array.slice(low, high - low) for name, array in parsed.arrays.items()}
        yield Parsed(arrays, parsed.rows[low:high] - start, Verdicts(high - low, reasons), faults), start


def _within(reasons: Mapping[int, Why], start: int, end: int) -> dict[int, Why]:
    return {row - start: reasons[row] for row in range(start, end) if row in reasons}


def _few_letters(decoded: Decoded, letters: int) -> Iterator[Decoded]:
    """The same records in parts of few dead letters each: checking ids and times may have found more of them."""
    ends = [letter.row for letter in decoded.dead[letters::letters]]
    if not ends:
        yield decoded
        return
    places = [0, *np.searchsorted(decoded.rows, ends).tolist(), len(decoded.rows)]
    for at, (low, high) in enumerate(pairwise(places)):
        part = decoded.dead[at * letters : (at + 1) * letters]
        yield Decoded(decoded.events.slice(low, high - low), decoded.rows[low:high], part)


def _letter(
    source: SourceSpec,
    fields: SourceFields,
    raw: Texts | list[bytes] | None,
    parsed: Parsed,
    first: int,
    done: int,
    row: int,
    stage: str,
    reason: str,
) -> DeadLetter:
    """The dead letter of record `row` of a part that starts with the batch's record `first`; `done` records precede the
    batch.
    """
    payload = raw[first + row] if raw is not None else record_json(fields, parsed.arrays, row)
    if raw is not None and source.encoding == UTF_8 and not _is_utf_8(payload):
        reason += "; for files in another encoding write it into the definition's source, such as `encoding: latin-1`"
    return DeadLetter(payload, reason, stage, done + first + row)


def _is_utf_8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
