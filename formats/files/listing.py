"""Lists data files: those that patterns name, each once, with its digest."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from typing import Final

import pyarrow as pa
from blake3 import blake3
from pyarrow import fs

from tandem.formats.files.pieces import (
    MAX_PIECE_MEMORY,
    Compression,
    FileFormat,
    FileRef,
    local_path,
    one_line,
    open_stream,
    path_text,
    storage_of,
)
from tandem.schemas.errors import SourceFileError
from tandem.schemas.source.partitions import partition_values

__all__ = ["Note", "expand", "file_at", "format_of", "listed_paths", "real_path", "unread"]

_TEXTS: Final[dict[str, FileFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
}
_PACKED: Final[dict[str, Compression]] = {"": "", ".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_ENDINGS: Final[dict[str, tuple[FileFormat, Compression]]] = {
    ".avro": ("avro", ""),
    ".parquet": ("parquet", ""),
    **{text + packed: (kind, how) for packed, how in _PACKED.items() for text, kind in _TEXTS.items()},
}
_ALLOWED: Final = f".avro, .parquet, {', '.join(_TEXTS)}; text also packed, with {', '.join(_PACKED)[2:]} behind it"
_SIGNS: Final = "*?["
_LOG: Final = logging.getLogger("tandem")

Note = Callable[[str], None]
"""Takes one line about a file that is skipped."""


def expand(patterns: Sequence[str], memory: int = MAX_PIECE_MEMORY, note: Note = _LOG.warning) -> list[FileRef]:
    """The files that the patterns name, each once, sorted by path; every file is read once for its digest.

    A pattern is a file, a folder (its files, and those of its folders named NAME=VALUE; not those whose names start
    with '.' or '_') or a glob with '*', '?' and '[...]' that also match across folders; a path of this machine or a URI
    (gs://, s3://, file://). A pattern that is itself an existing path isn't a glob. Files of this machine have their
    real path, however they are named. An empty file is skipped with a note, unless it is named itself. `memory`: bytes
    that reading a piece of a file may take. Raises SourceFileError for a pattern that matches nothing, an unknown
    suffix, and an unreadable file.
    """
    named, matched = _paths_of(patterns)
    paths = sorted(named | matched)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, max(len(paths), 1)), "digest") as several:
        refs = list(several.map(partial(file_at, memory=memory), paths))
    for ref in refs:
        if not ref.size and ref.path in named:
            raise SourceFileError(f"{ref.path}: an empty file; not even a header")
        if not ref.size:
            note(f"{ref.path}: passed by: an empty file")
    return [ref for ref in refs if ref.size]


def listed_paths(patterns: Sequence[str]) -> list[str]:
    """The paths of `expand` alone: no file is read."""
    return sorted(set[str]().union(*_paths_of(patterns)))


def _paths_of(patterns: Sequence[str]) -> tuple[set[str], set[str]]:
    """(paths that are named, paths that match a pattern)."""
    if not patterns:
        raise SourceFileError("no files named; name at least one file, folder or pattern")
    named, matched = set[str](), set[str]()
    for pattern in patterns:
        local = local_path(pattern)
        found = _remote(pattern) if local is None else [real_path(path) for path in _local(pattern, local)]
        (named if found == [pattern] or _is_file(local) else matched).update(found)
    return named, matched


def file_at(path: str, memory: int = MAX_PIECE_MEMORY) -> FileRef:
    """The file at exactly this path or URI, which stays as given; `memory` as in `expand`. Raises SourceFileError."""
    kind, compression = _ending(path)
    digest, size = blake3(), 0
    try:
        with open_stream(path) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    return FileRef(path, size, digest.hexdigest(), kind, compression, memory)


def _unreadable(path: str, error: Exception) -> SourceFileError:
    if isinstance(error, FileNotFoundError):
        return SourceFileError(f"{path}: no such file")
    return SourceFileError(f"{path}: can't be read: {one_line(error)}")


def unread(path: str) -> FileRef:
    """The file at exactly this path or URI, without a digest: it isn't read. Raises SourceFileError."""
    kind, compression = _ending(path)
    local = local_path(path)
    try:
        if local is not None:
            size = os.path.getsize(local)
        else:
            system, inner = storage_of(path)
            size = system.get_file_info(inner).size or 0
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    return FileRef(path, size, "", kind, compression)


def format_of(path: str) -> FileFormat:
    """The format by the path's suffix. Raises SourceFileError."""
    return _ending(path)[0]


def _ending(path: str) -> tuple[FileFormat, Compression]:
    ending = max((known for known in _ENDINGS if path.lower().endswith(known)), key=len, default=None)
    if ending is None:
        raise SourceFileError(f"{path}: the ending isn't known; allowed are {_ALLOWED}")
    return _ENDINGS[ending]


def _is_file(local: str | None) -> bool:
    return local is not None and os.path.isfile(_as_on_disk(local))


def real_path(path: str) -> str:
    """The canonical path of a file of this machine: absolute, with symbolic links resolved, except those that give it
    its suffix, or its folders named NAME=VALUE. A URI of other storage stays as it is.
    """
    local = local_path(path)
    if local is None:
        return path
    means = _meaning(local)
    folder, name = os.path.split(os.path.abspath(local))
    for real in (os.path.realpath(local), os.path.join(os.path.realpath(folder), name)):
        if _meaning(real) == means:
            return path_text(real)
    return path_text(os.path.abspath(local))


def _meaning(path: str) -> object:
    ending = max((known for known in _ENDINGS if path.lower().endswith(known)), key=len, default="")
    return ending, partition_values(os.path.abspath(path))


def _local(pattern: str, path: str) -> list[str]:
    path = _as_on_disk(path)
    try:
        if os.path.isfile(path):
            return [path]
        if os.path.isdir(path):
            return _in_folder(pattern, path)
        if os.path.exists(path):
            raise SourceFileError(f"{pattern}: neither a file nor a folder")
        if not any(sign in path for sign in _SIGNS):
            raise SourceFileError(f"{pattern}: no such file or folder")
        return _matching(pattern, path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceFileError(f"{pattern}: {one_line(error)}") from None


def _as_on_disk(path: str) -> str:
    """The path with the names on disk, where these differ in Unicode's normal form only."""
    if os.path.lexists(path) or path.isascii():
        return path
    folder, name = os.path.split(path)
    folder = _as_on_disk(folder) if name else folder
    try:
        alike = [entry for entry in os.listdir(folder or ".") if _composed(entry) == _composed(name)]
    except OSError:
        return path
    return os.path.join(folder, alike[0]) if len(alike) == 1 else path


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _in_folder(pattern: str, folder: str) -> list[str]:
    found = list(_walk(folder, lambda name: "=" in name, hidden=False))
    if not found:
        inner = next((entry.name for entry in os.scandir(folder) if entry.is_dir()), None)
        hint = f"; for those of its folders write '{pattern.rstrip('/')}/*'" if inner is not None else ""
        raise SourceFileError(f"{pattern}: the folder holds no files{hint}; wanted are {_ALLOWED}")
    return found


def _matching(pattern: str, path: str) -> list[str]:
    folder = path[: min(path.find(sign) for sign in _SIGNS if sign in path)].rpartition("/")[0]
    start = folder or ("/" if path.startswith("/") else ".")
    wanted = _composed(path if folder or path.startswith("/") else f"./{path}")
    names = _walk(_as_on_disk(start), lambda name: True, hidden=True)
    found = [name for name in names if fnmatchcase(_composed(name), wanted)]
    if not found:
        raise _no_match(pattern)
    return found


def _no_match(pattern: str) -> SourceFileError:
    return SourceFileError(f"{pattern}: no file matches; check the pattern, and put it in quotes for the shell")


def _walk(folder: str, enters: Callable[[str], bool], *, hidden: bool) -> Iterator[str]:
    """The files below a folder, in those folders for which `enters` is true; symbolic links are followed, each once."""
    seen = set[tuple[int, int]]()
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if enters(name) and (hidden or not name.startswith((".", "_"))))
        for name in sorted(names):
            path = os.path.join(place, name)
            if (hidden or not name.startswith((".", "_"))) and os.path.isfile(path):
                yield path


def _raise(error: OSError) -> None:
    raise error


def _remote(pattern: str) -> list[str]:
    system, inner = storage_of(pattern)
    prefix = pattern[: len(pattern) - len(inner)] if pattern.endswith(inner) else pattern.split("://")[0] + "://"
    try:
        info = system.get_file_info(inner)
        if info.type == fs.FileType.File:
            return [pattern]
        if info.type == fs.FileType.Directory:
            return _in_remote_folder(pattern, prefix, system, inner)
        if not any(sign in inner for sign in _SIGNS):
            raise SourceFileError(f"{pattern}: no such file or folder")
        folder = inner[: min(inner.find(sign) for sign in _SIGNS if sign in inner)].rpartition("/")[0]
        infos = system.get_file_info(fs.FileSelector(folder, recursive=True))
    except (pa.ArrowException, OSError) as error:
        raise SourceFileError(f"{pattern}: {one_line(error)}") from None
    names = [info.path for info in infos if info.type == fs.FileType.File]
    found = [prefix + name for name in names if fnmatchcase(name, inner)]
    if not found:
        raise _no_match(pattern)
    return found


def _in_remote_folder(pattern: str, prefix: str, system: fs.FileSystem, folder: str) -> list[str]:
    infos = system.get_file_info(fs.FileSelector(folder, recursive=True))
    found = [prefix + info.path for info in infos if info.type == fs.FileType.File and _belongs(folder, info.path)]
    if not found:
        raise SourceFileError(f"{pattern}: the folder holds no files; wanted are {_ALLOWED}")
    return found


def _belongs(folder: str, path: str) -> bool:
    *between, name = path.removeprefix(folder).lstrip("/").split("/")
    shown = not any(part.startswith((".", "_")) for part in (*between, name))
    return shown and all("=" in part for part in between)
