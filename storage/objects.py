"""What Tandem asks of a bucket, and the errors that every kind of store says it with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tandem.schemas.errors import TandemError

__all__ = ["Listed", "ObjectExistsError", "ObjectMissingError", "Objects", "UnavailableError"]


class ObjectExistsError(TandemError):
    """`create` found an object of this key; it wasn't changed."""


class ObjectMissingError(TandemError):
    """There is no object of this key."""


class UnavailableError(TimeoutError):
    """The store didn't answer, or said that it can't now: nothing is known of whether it took effect."""


class Listed(NamedTuple):
    """An object of a listing."""

    key: str
    size: int
    """Bytes."""


class Objects(Protocol):
    """The objects of one bucket by key. A read or listing sees every write that had returned.

    Any operation raises UnavailableError where trying again may help, and PlaceError (no such bucket, no permission,
    no credentials) where it can't. No message has credentials in it.
    """

    def create(self, key: str, data: bytes) -> None:
        """Write a new object. Raises ObjectExistsError if there is one."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write, or overwrite."""
        ...

    def get(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """The bytes from `start` on, `size` of them at the most. Raises ObjectMissingError."""
        ...

    def size(self, key: str) -> int:
        """Bytes. Raises ObjectMissingError."""
        ...

    def folder(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """(objects, folders) directly below a prefix, which ends with "/" or is "": keys, folders without their "/"."""
        ...

    def walk(self, prefix: str) -> Iterator[Listed]:
        """All objects whose keys begin with the prefix."""
        ...

    def delete(self, key: str) -> None:
        """Remove, if it is there."""
        ...
