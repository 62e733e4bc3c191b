"""Runs work of a bundle in threads while the bundle goes on: most of it leaves Python's lock to others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["InThreads"]

Result = TypeVar("Result")


class InThreads(Generic[Result]):
    """Calls that run in threads, `most` at a time; their results come in the order of the calls.

    Not thread-safe itself.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._pool: ThreadPoolExecutor | None = None
        self._running: deque[Future[Result]] = deque()

    def begin(self) -> None:
        """Forget the calls of a bundle that failed, once they have ended."""
        futures.wait(self._running)
        self._running.clear()

    def submit(self, call: Callable[[], Result]) -> Iterator[Result]:
        """Start a call; yields the results of the calls that it has to wait for. Raises their errors."""
        while len(self._running) >= self._most:
            yield self._running.popleft().result()
        self._pool = self._pool or ThreadPoolExecutor(self._most, self._name)
        self._running.append(self._pool.submit(call))

    def rest(self) -> Iterator[Result]:
        """The results of all calls that are left. Raises their errors."""
        while self._running:
            yield self._running.popleft().result()

    def close(self) -> None:
        """End the threads, once all calls have ended."""
        if self._pool is not None:
            self._pool.shutdown()
