"""Retries operations on objects with growing pauses; a write that had taken effect is recognized by its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tandem.storage.objects import Listed, ObjectExistsError, ObjectMissingError, Objects, UnavailableError

__all__ = ["RetriedObjects", "RetryLimits"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """The limits of retries, in seconds."""

    request: float = 20.0
    """The timeout of a request."""
    total: float = 60.0
    """The time after which an operation isn't retried."""
    first_pause: float = 0.1
    """Longest pause before the first retry, doubled before each later one; the pause is random below it."""
    longest_pause: float = 5.0


class RetriedObjects:
    """See Objects; raises UnavailableError only after retrying within its limits."""

    def __init__(self, objects: Objects, limits: RetryLimits) -> None:
        self._objects, self._limits = objects, limits

    def create(self, key: str, data: bytes) -> None:
        """See Objects. An existing object with the same bytes is this call's own if an earlier attempt went
        unanswered.
        """
        unanswered = False

        def once() -> None:
            nonlocal unanswered
            try:
                self._objects.create(key, data)
            except UnavailableError:
                unanswered = True
                raise
            except ObjectExistsError:
                if not (unanswered and self._holds(key, data)):
                    raise

        self._with_retries(once)

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self._objects.get(key) == data
        except ObjectMissingError:
            return False

    def put(self, key: str, data: bytes) -> None:
        """See Objects."""
        self._with_retries(lambda: self._objects.put(key, data))

    def get(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """See Objects."""
        return self._with_retries(lambda: self._objects.get(key, start, size))

    def size(self, key: str) -> int:
        """See Objects."""
        return self._with_retries(lambda: self._objects.size(key))

    def folder(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """See Objects."""
        return self._with_retries(lambda: self._objects.folder(prefix))

    def walk(self, prefix: str) -> Iterator[Listed]:
        """See Objects."""
        yield from self._with_retries(lambda: list(self._objects.walk(prefix)))

    def delete(self, key: str) -> None:
        """See Objects."""
        self._with_retries(lambda: self._objects.delete(key))

    def _with_retries(self, operation: Callable[[], T]) -> T:
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

        limits = self._limits
        tries = Retrying(
            retry=retry_if_exception_type(UnavailableError),
            stop=stop_after_delay(limits.total),
            wait=wait_random_exponential(multiplier=limits.first_pause, max=limits.longest_pause),
            reraise=True,
        )
        return tries(operation)
