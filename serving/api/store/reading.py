"""Reads the store for requests: in threads with connections of their own, limited in number and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from tandem.schemas.errors import StoreError
from tandem.serving.api.problems import Problem
from tandem.serving.api.settings import Settings
from tandem.serving.api.store.catalogue import Catalogue
from tandem.serving.api.store.store_changes import StoreChanges
from tandem.views.answers.kept import Kept
from tandem.views.store import ViewStore

__all__ = ["OpenStore", "Readers"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class OpenStore:
    """The view store of a server, with caches that outlive requests."""

    views: ViewStore
    changes: StoreChanges
    catalogue: Catalogue

    @classmethod
    def of(cls, url: str) -> OpenStore:
        """Open an existing store. Raises NoStoreError, StoreError."""
        views = ViewStore(url, create=False)
        views.kept = Kept()
        return cls(views, StoreChanges(views.database), Catalogue(views))


@dataclass
class Readers:
    """Threads that read. The first that needs the store opens it, so it may be created after the server's start."""

    settings: Settings
    _pool: ThreadPoolExecutor = field(init=False)
    _store: OpenStore | None = field(default=None, init=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.settings.readers, thread_name_prefix="reader")

    @property
    def waiting(self) -> int:
        """Number of waiting and running questions."""
        return self._waiting

    @property
    def opened(self) -> OpenStore | None:
        """The store, if it was opened already."""
        return self._store

    def store(self) -> OpenStore:
        """The store, for readers' threads. Raises NoStoreError, StoreError."""
        if self._store is None:
            self._store = OpenStore.of(self.settings.store)
        return self._store

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` in a reader's thread and return its result; once more if another version was published meanwhile.

        Raises Problem if too many questions wait, or it takes too long, and `work`'s errors.
        """
        limits = self.settings.limits
        if self._waiting >= limits.waiting + self.settings.readers:
            raise Problem("busy", f"{self._waiting} questions wait already")
        self._waiting += 1
        task = asyncio.get_running_loop().run_in_executor(self._pool, _twice, work, args, kwargs)
        task.add_done_callback(self._done)
        await asyncio.wait((task,), timeout=limits.seconds)  # neither a timeout nor the caller's end cancels it
        if not task.done():
            raise Problem("too-slow", f"no answer within {limits.seconds:g} seconds")
        return task.result()

    def close(self) -> None:
        """Wait for running readers, and close the store."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._store is not None:
            self._store.views.close()

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not task.cancelled():
            task.exception()  # marks the error as retrieved, also after the caller gave up


def _twice(work: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    try:
        return work(*args, **kwargs)
    except StoreError as error:
        if "this was asked with version" not in str(error):
            raise
        return work(*args, **kwargs)
