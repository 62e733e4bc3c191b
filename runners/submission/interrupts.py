"""What Ctrl-C and SIGTERM do to what is running: let it drain, or end the process at once, with one line.

Killed at any instant a run loses nothing, so ending at once is safe. Letting an exception find its way out isn't
prompt: threads of the runner go on until their bundles are done.
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
"""Seconds within which SIGTERM is the same one: `timeout` for one sends it to a process and to its group."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_DUTIES: Final[list[Callable[[], object]]] = []

Handler = Callable[[int, FrameType | None], object]


def end_at_once(line: str) -> NoReturn:
    """Say the line, do what is due (see `also_at_once`), and end this process with exit code 130."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))
    _say(line)
    with suppress(OSError):  # what threads say of being cut off
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
    """While this lasts, a process that is ended at once does this first: nothing that takes a lock."""
    _DUTIES.append(duty)
    try:
        yield
    finally:
        _DUTIES.remove(duty)


@contextmanager
def ended_by_signals(line: Callable[[], str | None]) -> Iterator[None]:
    """While this lasts Ctrl-C and SIGTERM end the process at once.

    `line` says what that means; None: all is done, and the process ends by itself.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        said = line()
        if said is not None:
            end_at_once(said)

    with _handled(handle):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the body is over, and count then: for what is done and has to be noted in one."""
    came: list[int] = []
    try:
        with _handled(lambda number, frame: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


class Draining:
    """What signals ask of a run. Before it is there, they are kept in mind."""

    def __init__(self, blobs: BlobStore, at_once: str) -> None:
        self._blobs, self._at_once = blobs, at_once
        self._run: str | None = None
        self._asked: float | None = None

    def begin(self, run: str, left_behind: str = "") -> None:
        """The run is there: what asks it to end is written into its journal.

        `left_behind`: what goes on of it when this process is ended at once.
        """
        self._run = run
        if left_behind:
            self._at_once = f"ended at once; {left_behind}"
        if self._asked is not None:
            self._drain(run)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal. The first drains; the next one ends the process."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            _say("draining: what was taken in is brought to its end; Ctrl-C again ends at once")
            if self._run is not None:
                self._drain(self._run)
        elif number == signal.SIGINT or now - self._asked > _SAME:
            end_at_once(self._at_once)

    def _drain(self, run: str) -> None:
        try:
            self._blobs.create(drain_path(run), b"{}")
        except BlobExistsError:
            return
        except OSError as error:
            _say(f"the run can't be asked to drain: {error.strerror or error}; Ctrl-C again ends at once")


@contextmanager
def drained_by_signals(blobs: BlobStore, at_once: str = "") -> Iterator[Draining]:
    """SIGTERM and Ctrl-C ask the run to end (a writer's lanes seal); the pipeline then finishes by itself.

    The second time they end the process at once; `at_once` says more of what that means.
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
