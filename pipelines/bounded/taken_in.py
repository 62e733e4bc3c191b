"""Records the inputs of backfills beside the journal, from which a lost view store is rebuilt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from tandem.journal.storage.blobs import BlobExistsError, BlobStore
from tandem.journal.storage.opening import open_blobs
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.storage.urls import beside

__all__ = ["Taken", "note_taken", "recorded_names", "taken_in"]


@dataclass(frozen=True, slots=True)
class Taken:
    """One batch run: its definition, and the files that it read beyond its parent's."""

    name: str
    version: str
    batch_run: str
    definition: str
    """Its text, including the schemas."""
    files: tuple[tuple[str, int, str], ...]
    """(path, bytes, digest)."""
    complete_until: int | None
    """The user's statement, microseconds UTC."""
    at: int
    """Wall clock, microseconds UTC."""


def _blobs(home: Home) -> BlobStore:
    return open_blobs(_place(home))


def _place(home: Home) -> str:
    return beside(home.journal, "taken-in")


def note_taken(home: Home, taken: Taken) -> None:
    """Write the record, durably; may be repeated."""
    with suppress(BlobExistsError):
        _blobs(home).create(_path(taken.name, taken.batch_run), json.dumps(asdict(taken), indent=1).encode())


def recorded_names(home: Home) -> list[str]:
    """The names with records, sorted."""
    return _blobs(home).folders("")


def taken_in(home: Home, name: str, version: str | None = None) -> list[Taken]:
    """The records of a name, in order: of this version if it has any, else of all versions."""
    found = sorted(_read(home, name), key=lambda taken: (taken.at, taken.batch_run))
    return [taken for taken in found if taken.version == version] or found


def _read(home: Home, name: str) -> Iterator[Taken]:
    blobs = _blobs(home)
    for each in blobs.list(name):
        try:
            data = json.loads(blobs.read(f"{name}/{each}"))
            yield Taken(**{**data, "files": tuple((str(p), int(s), str(d)) for p, s, d in data["files"])})
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{_place(home)}/{name}/{each}: not a record of a backfill: {error!r}") from None


def _path(name: str, batch_run: str) -> str:
    return f"{name}/{batch_run}.json"
