"""Spans of revisions and deliveries, linked to the segments whose events lie in their windows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.telemetry.traces import Segment, note, tracing
from tandem.views.outbox.messages import Message
from tandem.views.outbox.tables import result_outbox
from tandem.views.reconcile.digest_rows import newest_segments
from tandem.views.store import ViewStore

__all__ = ["DeliveryTraces"]

_MOST: Final = 500
"""Most windows of one span."""

Windows = Sequence[tuple[int, int]]


@dataclass
class DeliveryTraces:
    """The spans of one deliverer. Reads nothing while tracing is off."""

    store: ViewStore
    compiled: CompiledDefinition
    seen: int = 0
    """Ordinal of the last message that was put into the outbox under a span."""

    @contextmanager
    def revising(self) -> Iterator[None]:
        """The span in which due windows become revisions and episodes, and are put into the outbox."""
        if not tracing():
            yield
            return
        began = time.time_ns()
        yield
        ended, windows = time.time_ns(), self._put()
        if windows:
            self._note("revise", windows, began, ended, {"tandem.messages": len(windows)})

    @contextmanager
    def sending(self, output: str, messages: Sequence[Message]) -> Iterator[None]:
        """The span of one request of an output, or several; its error becomes the span's."""
        if not tracing():
            yield
            return
        began, error = time.time_ns(), None
        try:
            yield
        except Exception as raised:
            error = type(raised).__name__
            raise
        finally:
            windows = [(message.start, message.end) for message in messages[:_MOST]]
            about: dict[str, str | int] = {"tandem.output": output.partition(" ")[0], "tandem.messages": len(messages)}
            self._note("deliver", windows, began, time.time_ns(), about, error)

    def _put(self) -> Windows:
        """The windows of new messages in the outbox."""
        o = result_outbox.c
        query = sa.select(o.ordinal, o.start, o.end).where(
            o.name == self.compiled.definition.name, o.ordinal > self.seen
        )
        with self.store.database.read() as connection:
            rows = connection.execute(query.order_by(o.ordinal).limit(_MOST)).all()
        self.seen = max((row.ordinal for row in rows), default=self.seen)
        return [(row.start, row.end) for row in rows]

    def _note(
        self,
        name: str,
        windows: Windows,
        began: int,
        ended: int,
        about: dict[str, str | int],
        error: str | None = None,
    ) -> None:
        of = self.compiled.definition
        with self.store.database.read() as connection:
            found = newest_segments(connection, self.compiled.version, windows, of.tile)
        segments = [Segment(*each) for each in found]
        note(name, segments, began, ended, {"tandem.definition": of.name, **about}, error)
