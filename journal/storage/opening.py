"""Opens the blobs at a place, a folder or a URL."""

from __future__ import annotations

from pathlib import Path

from tandem.journal.storage.blobs import BlobStore, LocalBlobs
from tandem.journal.storage.layout import RUNS
from tandem.journal.storage.object_blobs import ObjectBlobs
from tandem.schemas.privacy.files import need_folder
from tandem.storage.opening import objects_at
from tandem.storage.urls import is_url, location

__all__ = ["journal_exists", "open_blobs", "prepared_journal"]


def open_blobs(place: str) -> BlobStore:
    """The blobs at a folder or URL, without reading any. Raises UserError for a URL that names no place."""
    return _at_url(place) if is_url(place) else LocalBlobs(place)


def _at_url(url: str) -> ObjectBlobs:
    place = location(url)
    return ObjectBlobs(objects_at(place), place)


def journal_exists(place: str) -> bool:
    """Whether a live run was started at this place. Raises PlaceError, OSError."""
    return bool(_at_url(place).list(RUNS)) if is_url(place) else Path(place).is_dir()


def prepared_journal(place: str) -> BlobStore:
    """The blobs of a journal that is to be written: a folder is created, an object store is checked to create only
    once.

    Raises PlaceError; UserError for a folder that can't be created.
    """
    if not is_url(place):
        need_folder(place)
        return LocalBlobs(place)
    blobs = _at_url(place)
    blobs.prove()
    return blobs
