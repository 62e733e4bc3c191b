"""Handles Ctrl-C and SIGTERM: drains the run, or ends the process at once, with one line.

Killed at any instant a run loses nothing, so ending at once is safe. Raising an exception instead isn't prompt: threads
of the runner go on until their bundles are done.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

from tandem.journal.storage.blobs import BlobExistsError, BlobStore
from tandem.journal.storage.layout import drain_path
from tandem.schemas.telemetry.logs import formatted

__all__ = ["Draining", "also_at_once", "drained_by_signals", "end_at_once", "ended_by_signals", "held_back"]

INTERRUPTED: Final = 130
_SAME: Final = 0.05
"""Seconds within which a second SIGTERM counts as the first: `timeout`, for example, signals a process and its group.
"""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_DUTIES: Final[list[Callable[[], object]]] = []

Handler = Callable[[int, FrameType | None], object]


def end_at_once(line: str) -> NoReturn:
    """Print the line, run the registered duties (see `also_at_once`), and end this process with exit code 130."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))
    _say(line)
    with suppress(OSError):  # threads print about their closed streams
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for duty in _DUTIES:
        with suppress(Exception):
            duty()
    os._exit(INTERRUPTED)


def _say(line: str) -> None:
    shown = "\x1b[?25h\r\n" if os.isatty(2) else ""  # a live screen hides the cursor
    with suppress(OSError):
        os.write(2, f"{formatted(line) or shown + line}\n".encode(errors="replace"))


@contextmanager
def also_at_once(duty: Callable[[], object]) -> Iterator[None]:
    """Register a duty in the body: a process that is ended at once runs it first. It must take no lock."""
    _DUTIES.append(duty)
    try:
        yield
    finally:
        _DUTIES.remove(duty)


@contextmanager
def ended_by_signals(line: Callable[[], str | None]) -> Iterator[None]:
    """In the body Ctrl-C and SIGTERM end the process at once.

    `line` describes the consequence; None: all is done, and the process ends by itself.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        said = line()
        if said is not None:
            end_at_once(said)

    with _handled(handle):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the body, for steps that have to be completed and noted together."""
    came: list[int] = []
    try:
        with _handled(lambda number, frame: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


class Draining:
    """The signals to a run. Those that come before its start are kept for it."""

    def __init__(self, blobs: BlobStore, at_once: str) -> None:
        self._blobs, self._at_once = blobs, at_once
        self._left_behind: Callable[[], str] | None = None
        self._run: str | None = None
        self._asked: float | None = None

    def begin(self, run: str, left_behind: Callable[[], str] | None = None) -> None:
        """The run has started: requests to end are written into its journal from now on.

        `left_behind`: tells the parts that continue when this process is ended at once; empty without any.
        """
        self._run, self._left_behind = run, left_behind
        if self._asked is not None:
            self._drain(run)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. The first one drains the run; the next one ends the process."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            _say("draining: what was taken in is brought to its end; Ctrl-C again ends at once")
            if self._run is not None:
                self._drain(self._run)
        elif number == signal.SIGINT or now - self._asked > _SAME:
            behind = self._left_behind() if self._left_behind is not None else ""
            end_at_once(f"ended at once; {behind}" if behind else self._at_once)

    def _drain(self, run: str) -> None:
        try:
            self._blobs.create(drain_path(run), b"{}")
        except BlobExistsError:
            return
        except OSError as error:
            _say(f"the run can't be asked to drain: {error.strerror or error}; Ctrl-C again ends at once")


@contextmanager
def drained_by_signals(blobs: BlobStore, at_once: str = "") -> Iterator[Draining]:
    """In the body SIGTERM and Ctrl-C drain the run (a writer's lanes seal); the pipeline then finishes by itself.

    A second signal ends the process at once; `at_once` adds to its last line.
    """
    drain = Draining(blobs, f"ended at once; {at_once or 'nothing is lost: the next run goes on with the journal'}")
    with _handled(drain.handle):
        yield drain


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
