"""The deliverer of a definition: has sources put due records into the outbox, and sends the waiting ones."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from tandem.pipelines.delivery.outputs import RecordWriter, writer_of
from tandem.pipelines.delivery.sources import sources_of
from tandem.pipelines.delivery.tracing import DeliveryTraces
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import DeliveryError
from tandem.schemas.privacy.secrets import redacted
from tandem.schemas.rules.actions import shown_label
from tandem.views.answers.reading.scope import read_scope
from tandem.views.outbox.leases import LEASE, Lease, acquire_lease, release_lease
from tandem.views.outbox.messages import (
    Message,
    Sent,
    note_broken,
    note_failure,
    note_working,
    outputs_due,
    take_messages,
)
from tandem.views.results.due.holding import HeldBack, held_back
from tandem.views.storage.database import Clock, wall_clock
from tandem.views.store import ViewStore

__all__ = ["Delivered", "Deliverer", "holder_name", "line_of"]

_TURN: Final = 5.0
"""Seconds after which an output that takes one message a request lets the others have their turn; one more request may
follow."""
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of one round."""

    revisions: int = 0
    """States that sources put into the outbox."""
    sent: int = 0
    """Messages, one for each output of a record."""
    refused: int = 0
    failed: tuple[str, ...] = ()
    """Errors of failing outputs, one line each."""


def holder_name() -> str:
    """The name of a deliverer in leases: its machine and process, and a unique number."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Deliverer:
    """Delivers for one name while it holds the lease. At least once, in order for each window and key."""

    def __init__(self, store: ViewStore, compiled: CompiledDefinition, holder: str, clock: Clock = wall_clock) -> None:
        self._store, self._compiled, self._holder, self._clock = store, compiled, holder, clock
        self._sources = sources_of(store, compiled)
        self._traces = DeliveryTraces(store, compiled)
        self._writers: dict[str, RecordWriter] = {}
        self._lease: Lease | None = None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="send")

    @property
    def name(self) -> str:
        """The definition's name."""
        return self._compiled.definition.name

    def run_once(self) -> Delivered | None:
        """Drain and send everything that can be sent; None while another process holds the lease, or another version is
        served.
        """
        if not self._is_served() or not self._holds():
            return None
        with self._traces.revising():
            made = sum(source.drain(self._clock()) for source in self._sources)
        sent, refused, failed = 0, 0, list[str]()
        with self._store.database.read() as connection:
            due = outputs_due(connection, self.name, self._clock())
        for output in due:
            try:
                each = getattr(self._writer(output), "one_by_one", False)
                more = self._send_each(output) if each else self._send_all(output)
                sent, refused = sent + more[0], refused + more[1]
            except DeliveryError as error:
                failed.append(f"{shown_label(output)}: {error}")
                self._note_failure(output, error)
        return Delivered(made, sent, refused, tuple(failed))

    def close(self) -> None:
        """Release the lease at once."""
        if self._lease is not None:
            release_lease(self._store.database, self._lease)
            self._lease = None

    def held_back(self) -> HeldBack:
        """The windows of results that triggers hold back."""
        with self._store.database.read() as connection:
            scope = read_scope(connection, self._store.chains, self._compiled)
            return held_back(connection, self._compiled.definition, scope.watermark)

    def note_broken(self, error: Exception) -> None:
        """Note in the store that an unexpected error has ended a round, and release the lease."""
        note_broken(self._store.database, self.name, line_of(error), self._clock())
        self.close()

    def note_working(self) -> None:
        """Clear the note of an unexpected error, of this process or of an earlier one."""
        note_working(self._store.database, self.name)

    def _is_served(self) -> bool:
        """Whether this version is served: one that only catches up must not keep the served one's deliverer waiting."""
        served = self._store.publishing.served(self.name)
        if served is None or served.version == self._compiled.version:
            return True
        self.close()
        return False

    def _holds(self) -> bool:
        """Take or renew the lease, well before it ends."""
        now = self._clock()
        if self._lease is None or now > self._lease.until - LEASE // 2:
            self._lease = acquire_lease(self._store.database, self.name, self._holder, now)
        return self._lease is not None

    def _send_all(self, output: str) -> tuple[int, int]:
        """Send everything that waits for an output, (sent, refused); a transaction deletes each batch and takes the
        next one. Of several batches the next one is taken while one is being sent.
        """
        done: Sent | None = None
        flying: _Flying | None = None
        sent = refused = 0
        while self._holds() and self._lease is not None:
            place = self._store.database, self._lease, output, _AT_ONCE
            messages = take_messages(*place, done, self._clock(), flying.last if flying is not None else 0)
            if messages is None:
                self._lease = None
                break
            if done is not None:
                sent, refused = sent + len(done.messages) - len(done.refused), refused + len(done.refused)
            done = flying.landed() if flying is not None else None
            flying = None
            if len(messages) >= _AT_ONCE:
                flying = _Flying(messages, self._beside.submit(self._send, output, messages))
            elif messages:
                done = _with(done, Sent(messages, self._send(output, messages)))
            elif done is None:
                break
        return sent, refused

    def _send_each(self, output: str) -> tuple[int, int]:
        """As `_send_all`, for an output that takes one message a request: each is deleted once it is sent, so that an
        error of the next one doesn't repeat it, and a slow receiver lets the other outputs have their turn.
        """
        done: Sent | None = None
        sent = refused = 0
        begun = time.monotonic()
        while self._holds() and self._lease is not None:
            messages = take_messages(self._store.database, self._lease, output, 1, done, self._clock())
            if messages is None:
                self._lease = None
                break
            if done is not None:
                sent, refused = sent + 1 - len(done.refused), refused + len(done.refused)
            if not messages or (done is not None and time.monotonic() - begun > _TURN):
                break
            done = Sent(messages[:1], self._send(output, messages[:1]))
        return sent, refused

    def _send(self, output: str, messages: Sequence[Message]) -> Mapping[int, str]:
        with self._traces.sending(output, messages):
            return self._writer(output).send(messages)

    def _writer(self, output: str) -> RecordWriter:
        if output not in self._writers:
            self._writers[output] = writer_of(output, self._compiled)
        return self._writers[output]

    def _note_failure(self, output: str, error: DeliveryError) -> None:
        if self._lease is not None:
            after = int(error.after * 1e6)
            note_failure(self._store.database, self._lease, output, str(error), self._clock(), after)


@dataclass(frozen=True)
class _Flying:
    """A batch of messages that is being sent."""

    messages: Sequence[Message]
    refused: Future[Mapping[int, str]]

    @property
    def last(self) -> int:
        return max(message.ordinal for message in self.messages)

    def landed(self) -> Sent:
        """The outcome, once the batch is sent. Raises DeliveryError."""
        return Sent(self.messages, self.refused.result())


def _with(done: Sent | None, more: Sent) -> Sent:
    return more if done is None else Sent([*done.messages, *more.messages], {**done.refused, **more.refused})


def line_of(error: Exception) -> str:
    """An unexpected error in one line."""
    lines = str(error).splitlines() or [""]
    return redacted(f"{type(error).__name__}: {lines[0]}"[:300])
