"""Reads the mark of the store's state for requests that wait for it together.

A reading serves all requests that had come before it began: under load one statement, and one turn of a reader's
thread, is enough for many.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tandem.serving.api.store.reading import Readers

__all__ = ["SharedMarks"]


@dataclass(eq=False)
class _Reading:
    waiting: list[asyncio.Future[str]] = field(default_factory=list)
    begun: bool = False
    task: asyncio.Task[None] | None = None

    def read(self, readers: Readers) -> str:
        """The mark, in a reader's thread; whoever comes from now on waits for the next one."""
        self.begun = True
        return readers.store().changes.mark()


@dataclass
class SharedMarks:
    """The store's marks, for the event loop."""

    readers: Readers
    latest: str = ""
    """The newest mark that anybody has read; the store may have changed since."""
    _next: _Reading | None = None

    async def current(self) -> str:
        """A mark that is read from now on. Raises Problem, StoreError."""
        loop = asyncio.get_running_loop()
        reading = self._next
        if reading is None or reading.begun:
            reading = self._next = _Reading()
            reading.task = loop.create_task(self._read(reading))
        waiter: asyncio.Future[str] = loop.create_future()
        reading.waiting.append(waiter)
        return await waiter

    async def _read(self, reading: _Reading) -> None:
        mark, failed = "", None
        try:
            mark = self.latest = await self.readers.run(reading.read, self.readers)
        except Exception as error:
            failed = error
        finally:
            reading.begun = True  # also where it was refused, or cancelled, before it began
        for waiter in reading.waiting:
            if waiter.done():  # its request was cancelled
                continue
            if failed is None:
                waiter.set_result(mark)
            else:
                waiter.set_exception(failed)
