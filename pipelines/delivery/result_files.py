"""Writes results as files in a folder or bucket: one file for a window and pass, created once and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import groupby

from tandem.journal.storage.blobs import BlobExistsError, BlobStore
from tandem.journal.storage.opening import prepared_journal
from tandem.pipelines.delivery.encoding import EXTENSIONS, Encoder
from tandem.schemas.certificate import time_text
from tandem.schemas.errors import DeliveryError, TandemError
from tandem.storage.urls import is_url, place_of
from tandem.views.outbox.messages import Message

__all__ = ["FileWriter", "file_name"]


class FileWriter:
    """Writes below one place. An existing file was written by an earlier attempt, and stays."""

    def __init__(self, place: str, encoder: Encoder) -> None:
        self._place = place_of(place.removeprefix("file://"))
        self._encoder = encoder
        self._blobs: BlobStore | None = None

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Write one file for each window and pass, durably. Raises DeliveryError for a place that can't be written."""
        refused: dict[int, str] = {}
        try:
            blobs = self._opened()
            for _, group in groupby(messages, lambda m: (m.stream, m.start, m.pass_number)):
                rows, wrong, data = self._encoder.file(list(group))
                refused |= wrong
                if not rows:
                    continue
                try:
                    blobs.create(file_name(rows, self._encoder.form), data)
                except BlobExistsError:
                    continue
        except OSError as error:
            self._blobs = None
            raise DeliveryError(f"{self._kind} {self._place}: {error.strerror or error}") from error
        except DeliveryError:
            raise
        except TandemError as error:
            self._blobs = None
            raise DeliveryError(str(error)) from error
        return refused

    @property
    def _kind(self) -> str:
        return "place" if is_url(self._place) else "folder"

    def _opened(self) -> BlobStore:
        """The place; a missing folder is created, and a bucket is checked to create objects only once."""
        if self._blobs is None:
            self._blobs = prepared_journal(self._place)
        return self._blobs


def file_name(rows: Sequence[Message], form: str = "json") -> str:
    """`clicks/per_hour/20260105T090000Z/000042-5f1c22ab90de77aa.jsonl`, for rows of one window and pass."""
    first = rows[0]
    start = time_text(first.start).replace(":", "").replace("-", "")
    digest = hashlib.sha256("\n".join(row.id for row in rows).encode()).hexdigest()[:16]
    return f"{first.name}/{first.of}/{start}/{first.pass_number:06d}-{digest}.{EXTENSIONS[form]}"
