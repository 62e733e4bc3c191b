"""Opens the objects of a URL's bucket, with one client a bucket and process."""

from __future__ import annotations

import functools
import os

from tandem.storage.gcs import GcsObjects
from tandem.storage.objects import Objects
from tandem.storage.retrying import RetriedObjects, RetryLimits
from tandem.storage.s3 import S3Objects
from tandem.storage.urls import Location

__all__ = ["objects_at"]


def objects_at(place: Location) -> Objects:
    """The objects of the place's bucket."""
    where = (
        os.environ.get("AWS_ENDPOINT_URL_S3"),
        os.environ.get("AWS_ENDPOINT_URL"),
        os.environ.get("STORAGE_EMULATOR_HOST"),
    )
    return _of_process(place.scheme, place.bucket, os.getpid(), where)


@functools.lru_cache(maxsize=32)
def _of_process(scheme: str, bucket: str, process: int, where: object) -> Objects:
    """The client of a bucket. `process`, `where`: no client outlives a fork, or a change of its endpoint."""
    limits = RetryLimits()
    kind = GcsObjects if scheme == "gs" else S3Objects
    return RetriedObjects(kind(bucket, limits.request), limits)
