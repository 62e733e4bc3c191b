"""The interface of a bucket, and the errors of every kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tandem.schemas.errors import TandemError

__all__ = ["Listed", "ObjectExistsError", "ObjectMissingError", "Objects", "UnavailableError"]


class ObjectExistsError(TandemError):
    """`create` found an object with this key; it is unchanged."""


class ObjectMissingError(TandemError):
    """There is no object with this key."""


class UnavailableError(TimeoutError):
    """The store didn't answer, or can't now: it is unknown whether the operation took effect."""


class Listed(NamedTuple):
    """An object of a listing."""

    key: str
    size: int
    """The object's size in bytes."""


class Objects(Protocol):
    """The objects of one bucket by key. A read or listing sees every write that had returned.

    Any operation raises UnavailableError where retrying may help, and PlaceError (no such bucket, no permission, no
    credentials) where it can't. No message has credentials.
    """

    def create(self, key: str, data: bytes) -> None:
        """Write a new object. Raises ObjectExistsError for an existing one."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write, or overwrite."""
        ...

    def get(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """At most `size` bytes from `start` on. Raises ObjectMissingError."""
        ...

    def size(self, key: str) -> int:
        """The size in bytes. Raises ObjectMissingError."""
        ...

    def folder(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """(objects, folders) directly below a prefix, which ends with "/" or is ""; folders are without their "/"."""
        ...

    def walk(self, prefix: str) -> Iterator[Listed]:
        """All objects whose keys begin with the prefix."""
        ...

    def delete(self, key: str) -> None:
        """Delete the object if it exists."""
        ...
