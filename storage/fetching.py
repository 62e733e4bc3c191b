"""Reads and writes small texts that a flag names as a file or an object."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tandem.schemas.errors import UserError
from tandem.storage.objects import ObjectMissingError
from tandem.storage.opening import objects_at
from tandem.storage.urls import is_url, location

__all__ = ["fetched", "put_text"]


@contextmanager
def fetched(place: str, flag: str) -> Iterator[str]:
    """The path of a file: the named one, or, within the context, a copy of an object with the same name.

    Raises UserError for a missing object, PlaceError.
    """
    if not is_url(place):
        yield place
        return
    found = location(place, flag)
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        copy = Path(folder, PurePosixPath(found.key).name)
        try:
            copy.write_bytes(objects_at(found).get(found.key))
        except ObjectMissingError:
            raise UserError(f"{flag} {place}: there is no such object") from None
        yield str(copy)


def put_text(text: str, place: str, flag: str) -> None:
    """Write a text to a file or an object, which may exist already. Raises UserError, PlaceError."""
    if is_url(place):
        found = location(place, flag)
        objects_at(found).put(found.key, text.encode())
        return
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{flag} {place}: {error.strerror}") from None
