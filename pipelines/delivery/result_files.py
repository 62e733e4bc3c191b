"""Results as files: JSON Lines, one file for a window and pass, created once and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from tandem.journal.storage.blobs import BlobExistsError, LocalBlobs
from tandem.schemas.certificate import time_text
from tandem.schemas.errors import DeliveryError, TandemError
from tandem.schemas.privacy.files import make_folder
from tandem.views.outbox.messages import Message

__all__ = ["FileWriter", "file_name"]


class FileWriter:
    """Writes below one folder. A file that is there already was written by an earlier try, and stays."""

    def __init__(self, place: str) -> None:
        self._folder = Path(place.removeprefix("file://")).absolute()

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """One file a window and pass, on disk when it returns. Raises DeliveryError for a folder that takes none."""
        try:
            make_folder(self._folder)
            blobs = LocalBlobs(str(self._folder))
            for _, group in groupby(messages, lambda m: (m.stream, m.start, m.pass_number)):
                rows = list(group)
                try:
                    blobs.create(file_name(rows), "".join(f"{row.payload}\n" for row in rows).encode())
                except BlobExistsError:
                    continue
        except OSError as error:
            raise DeliveryError(f"folder {self._folder}: {error.strerror or error}") from error
        except DeliveryError:
            raise
        except TandemError as error:
            raise DeliveryError(str(error)) from error
        return {}


def file_name(rows: Sequence[Message]) -> str:
    """`clicks/per_hour/20260105T090000Z/000042-5f1c22ab90de77aa.jsonl`, of rows of one window and pass."""
    first = rows[0]
    start = time_text(first.start).replace(":", "").replace("-", "")
    digest = hashlib.sha256("\n".join(row.id for row in rows).encode()).hexdigest()[:16]
    return f"{first.name}/{first.of}/{start}/{first.pass_number:06d}-{digest}.jsonl"
