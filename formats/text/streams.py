"""Opens text files as streams of UTF-8: decompressed, and decoded from the source's encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

import pyarrow as pa

from tandem.formats.files.pieces import FileRef, one_line, open_file
from tandem.schemas.errors import SourceFileError

__all__ = ["BOM", "UTF_8", "is_plain", "open_text", "text_size"]

UTF_8: Final = "utf-8"
BOM: Final = codecs.BOM_UTF8
_READ: Final = 1 << 20
_LOOKED_AT: Final = 1024
"""Bytes at a file's start that reveal its encoding."""
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS: Final = (
    (b"\x1f\x8b", "packed with gzip, and its name doesn't say so: give it an ending such as .jsonl.gz or .csv.gz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd, and its name doesn't say so: give it an ending such as .jsonl.zst"),
    (b"BZh91AY&SY", "packed with bzip2, and its name doesn't say so: give it an ending such as .jsonl.bz2"),
    (b"\xfd7zXZ\0", "packed with xz, which isn't read: pack it with gzip, bzip2 or zstd"),
    (b"\x04\x22\x4d\x18", "packed with lz4, which isn't read: pack it with gzip, bzip2 or zstd"),
    (b"PK\x03\x04", "a ZIP archive, as spreadsheets are too: take out of it, or export as CSV, what is to be read"),
    (b"PAR1\x15", "a Parquet file: give it the ending .parquet"),
    (b"Obj\x01", "an Avro container: give it the ending .avro"),
    (b"ARROW1\0", "an Arrow file, which isn't read: write it as Parquet"),
    (b"SQLite format 3\0", "a database of SQLite, which isn't read: export what is to be read"),
)
"""How files begin that aren't text despite their names, with remedies."""
_BAD: Final = "tandem.no-text"


def is_plain(ref: FileRef, encoding: str) -> bool:
    """Whether the file's bytes are its text's, so that reading can begin at any line."""
    return not ref.compression and encoding == UTF_8


@contextmanager
def open_text(ref: FileRef, encoding: str = UTF_8) -> Iterator[IO[bytes]]:
    """The file's text in UTF-8, seekable if `is_plain`.

    Characters that can't be decoded become bytes that aren't UTF-8, so that only their lines are dead. Raises
    SourceFileError for text in another encoding than the source's, and during reading for damaged or truncated
    compression.
    """
    with open_file(ref) as file, _unpacked(ref, file) as plain:
        buffered = plain if plain is file else io.BufferedReader(cast(io.RawIOBase, plain), _READ)
        head = buffered.peek(_LOOKED_AT)[:_LOOKED_AT]  # type: ignore[attr-defined]
        _check(ref, head, encoding)
        if encoding == UTF_8:
            yield buffered
        else:
            decoded = _Decoded(buffered, _decoder_for(head, encoding))
            yield cast(IO[bytes], io.BufferedReader(decoded, _READ))


def text_size(ref: FileRef, encoding: str) -> int:
    """The size of the text in UTF-8, in bytes; reads all of it unless it is plain."""
    if is_plain(ref, encoding):
        return ref.size
    size = 0
    with open_text(ref, encoding) as file:
        while chunk := file.read(_READ):
            size += len(chunk)
    return size


@contextmanager
def _unpacked(ref: FileRef, file: IO[bytes]) -> Iterator[Any]:
    try:
        if not ref.compression:
            yield file
        elif ref.compression == "gzip":
            with gzip.open(file) as plain:
                yield plain
        else:
            with pa.CompressedInputStream(pa.PythonFile(file, "r"), ref.compression) as plain:
                yield plain
    except EOFError:
        raise SourceFileError(f"{ref.path}: cut short: the gzip stream has no end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        hint = "; if it isn't packed, take .gz off its name" if isinstance(error, gzip.BadGzipFile) else ""
        raise SourceFileError(f"{ref.path}: damaged gzip stream: {error}{hint}") from None
    except OSError as error:
        raise _of_arrow(ref, one_line(error)) from None


def _of_arrow(ref: FileRef, message: str) -> SourceFileError:
    if "runcated" in message:
        return SourceFileError(f"{ref.path}: cut short: the {ref.compression} stream has no end")
    if "too much memory" in message:
        return SourceFileError(
            f"{ref.path}: unpacking it takes a window of more than 128 MiB; pack it again without zstd's --long"
        )
    kind = f"damaged {ref.compression} stream: " if ref.compression else ""
    return SourceFileError(f"{ref.path}: {kind}{message}")


def _check(ref: FileRef, head: bytes, encoding: str) -> None:
    """Raise SourceFileError if the first bytes show that the file isn't text, or has another encoding."""
    other = next((what for mark, what in _OTHERS if head.startswith(mark)), None)
    if other is not None:
        inside = f"what is packed in it with {ref.compression} is" if ref.compression else "is"
        raise SourceFileError(f"{ref.path}: {inside} {other}")
    if encoding == UTF_8:
        found = next((name for mark, name in _MARKS if head.startswith(mark)), None) or _without_mark(head)
        if found is not None:
            raise SourceFileError(
                f"{ref.path}: is {found.upper()} text, and UTF-8 is what is read unless the definition says otherwise: "
                f"write `encoding: {found}` into its source"
            )
    elif encoding.startswith(("utf-16", "utf-32")):
        marked = head.startswith((BOM, *(mark for mark, _ in _MARKS)))
        if head and not marked and b"\0" not in head:
            raise SourceFileError(f"{ref.path}: isn't {encoding.upper()} text, as the source's `encoding` says")


def _decoder_for(head: bytes, encoding: str) -> str:
    """The encoding to decode with, which includes the byte order where no mark does."""
    if head.startswith(BOM):
        return UTF_8
    if encoding in ("utf-16", "utf-32") and not head.startswith(tuple(mark for mark, _ in _MARKS)):
        return f"{encoding}-be" if head.startswith(b"\0") else f"{encoding}-le"
    return encoding


def _without_mark(head: bytes) -> str | None:
    """The encoding of UTF-16 without a byte order mark, else None: in mostly ASCII text every second byte is 0."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    few, many = len(head) // 100, len(head) // 5
    if len(head) < 4 or max(even, odd) < max(many, 2):
        return None
    if odd > many and even <= few:
        return "utf-16-le"
    return "utf-16-be" if even > many and odd <= few else None


class _Decoded(io.RawIOBase):
    """Text of another encoding, read as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(_BAD)
        self._text = memoryview(b"")
        self._first = self._more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text and self._more:
            chunk = self._file.read(_READ)
            self._more = bool(chunk)
            text = self._decoder.decode(chunk, not chunk)
            if self._first and text:
                text, self._first = text.removeprefix("\ufeff"), False
            self._text = memoryview(text.encode("utf-8", "surrogatepass"))
        count = min(len(buffer), len(self._text))
        buffer[:count] = self._text[:count]
        self._text = self._text[count:]
        return count


def _no_text(error: UnicodeError) -> tuple[str, int]:
    """A lone surrogate for bytes that can't be decoded: it can't be encoded in UTF-8 either."""
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error(_BAD, _no_text)
