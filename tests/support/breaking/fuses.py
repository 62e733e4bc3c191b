"""A store that dies before or after the commit of one of its write transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from tandem.verification.world.live_run import Crash
from tandem.views.store import ViewStore

__all__ = ["Fuse"]


class Fuse:
    """The store's write transactions; the process dies before or after the commit of one of them."""

    def __init__(self, store: ViewStore) -> None:
        self.commits = 0
        self._write: Callable[..., Any] = store.database.write
        self._left: int | None = None
        self._before = False
        store.database.write = self._transaction  # type: ignore[method-assign]
        self._database = store.database

    def light(self, transactions: int, *, before: bool) -> None:
        """Die in the `transactions`-th write from now on: before it is committed, or after."""
        self._left, self._before = transactions, before

    def out(self) -> bool:
        """Put it out; whether it still burned."""
        burning, self._left = self._left is not None, None
        return burning

    def remove(self) -> None:
        """Give the store its own transactions back."""
        self._database.write = self._write  # type: ignore[method-assign]

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        if self._left is not None:
            self._left -= 1
        dies = self._left == 0
        if dies:
            self._left = None
        with self._write(durable=durable) as connection:
            yield connection
            if dies and self._before:
                raise Crash("before the commit")
        self.commits += 1
        if dies:
            raise Crash("after the commit")
