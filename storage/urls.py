"""Parses places: a folder of this machine, or a prefix of a bucket (`gs://BUCKET/PREFIX`, `s3://...`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.secrets import keep_secret

__all__ = ["NO_STORE", "SCHEMES", "Location", "beside", "is_url", "location", "place_of"]

SCHEMES: Final = ("gs", "s3")
NO_STORE: Final = (
    "--home is a URL, where no view store can lie: name one with --store (sqlite:///PATH or postgresql://...)"
)


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket, and a key or prefix in it.

    >>> location("s3://events/2026//january/")
    Location(scheme='s3', bucket='events', key='2026/january')
    """

    scheme: str
    bucket: str
    key: str = ""
    """The key, without slashes at its ends."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}".rstrip("/")


def is_url(place: str) -> bool:
    """Whether the place isn't a folder of this machine."""
    return "://" in place


def location(url: str, flag: str = "") -> Location:
    """The location of a URL. Raises UserError, which never repeats credentials; `flag`: the flag that has the URL."""
    of_flag = f"{flag}: " if flag else ""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        keep_secret(bucket.rpartition("@")[0].rpartition(":")[2])
        raise UserError(
            f"{of_flag}{scheme}://***@...: no credentials in a URL; they come from the environment, or from the"
            " machine's role"
        )
    if scheme not in SCHEMES:
        raise UserError(f"{of_flag}{url}: a place is a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    if not bucket:
        raise UserError(f"{of_flag}{url}: the bucket's name is missing; write {scheme}://BUCKET/PREFIX")
    parts = [part for part in key.split("/") if part]
    if set(parts) & {".", ".."}:
        raise UserError(f"{of_flag}{url}: '.' and '..' mean nothing in a bucket")
    return Location(scheme, bucket, "/".join(parts))


def place_of(given: str, flag: str = "") -> str:
    """The place of a flag: a folder's absolute path, or a URL in canonical form. Raises UserError."""
    return str(location(given, flag)) if is_url(given) else os.path.abspath(given)


def beside(place: str, name: str) -> str:
    """The place with this name beside another one."""
    if not is_url(place):
        return os.path.join(os.path.dirname(place), name)
    found = location(place)
    above = PurePosixPath(found.key).parent
    return str(Location(found.scheme, found.bucket, str(above / name)))
