"""A deliverer in a process of its own, for as long as a live run lasts.

Threads of one Python share one interpreter lock: a deliverer in live's own process waits for live's decoding and
counting, and they for it, while the next core is idle.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from tandem.pipelines.delivery.beside.rounds import to_stderr
from tandem.pipelines.delivery.deliverer import holder_name
from tandem.pipelines.delivery.sources import has_sources
from tandem.runners.local.tied_processes import tied
from tandem.schemas.definition.models import Definition
from tandem.schemas.telemetry.context import current
from tandem.schemas.telemetry.logs import current_format

__all__ = ["Order", "delivering"]

_RUN: Final = "import sys; sys.path[:] = sys.argv[1:]; from tandem.pipelines.delivery.beside.main import main; main()"
"""With the path of this process, so that the same modules are imported."""
_GRACE: Final = 30.0
"""Seconds for the last round."""
_LONGEST: Final = 60.0
"""Most seconds until a process that has ended is started again."""
_WELL: Final = 60.0
"""Seconds after which a process that ends is no failure in a row."""


@dataclass(frozen=True)
class Order:
    """What a deliverer's process is to do; the first thing that it reads. A store's URL may hold a password, which the
    list of processes must not show.
    """

    store: str
    definitions: tuple[Definition, ...]
    holder: str
    """Of leases: the launcher's, so that a process that is started again needn't wait for its predecessor's to end."""
    log_format: str
    context: dict[str, Any]
    """Fields of every log line."""


@contextmanager
def delivering(store: str, definitions: Sequence[Definition]) -> Iterator[None]:
    """Deliver the results of definitions until the body ends, and those that are due then.

    The process ends with this one, also when this one is killed, and takes no signal from a terminal or a service
    manager. If it ends by itself it is started again after 1 s, 2 s, 4 s, up to a minute, and this is printed: it never
    ends the run. Where another process delivers a name, this one takes over once that ends.
    """
    delivered = tuple(definition for definition in definitions if has_sources(definition))
    if not delivered:
        yield
        return
    watched = _Watched(pickle.dumps(Order(store, delivered, holder_name(), current_format(), current())))
    watched.start()
    try:
        yield
    finally:
        watched.end()


@dataclass
class _Watched:
    """A deliverer's process, and the thread that prints what it says and starts it again."""

    order: bytes
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ending: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[bytes] | None = None
    _watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start the process, on the caller's thread (see `tied`), and its watcher."""
        self._begin()
        self._watcher = threading.Thread(target=self._watch, name="deliverer", daemon=True)
        self._watcher.start()

    def end(self) -> None:
        """Have the process deliver what is due, and end; kill it after 30 s."""
        with self._lock:
            self._ending.set()
            process = self._process
        if process is not None:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._watcher is not None:
            self._watcher.join(_GRACE)

    def _begin(self) -> None:
        with self._lock:
            if self._ending.is_set():
                return
            # Lines for a terminal go through this process, which may be drawing on it. Those for a file or a pipe
            # don't: they are sent once they are written, also if this process is killed.
            stdout = subprocess.PIPE if sys.stdout is not None and sys.stdout.isatty() else None
            self._process = process = subprocess.Popen(
                tied([sys.executable, "-c", _RUN, *sys.path]),
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert process.stdin is not None
        with suppress(OSError):  # it has ended: the watcher says so
            process.stdin.write(self.order)
            process.stdin.flush()

    def _watch(self) -> None:
        failures = 0
        while (process := self._process) is not None and not self._ending.is_set():
            begun = time.monotonic()
            _pass_on(process)
            code = process.wait()
            if self._ending.is_set():
                return
            failures = 1 if time.monotonic() - begun > _WELL else failures + 1
            pause = min(2.0 ** (failures - 1), _LONGEST)
            to_stderr(
                f"results wait: the process that delivers them {_ended(code)}; it is started again in {pause:.0f} s"
            )
            self._ending.wait(pause)
            with suppress(OSError):
                self._begin()


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    """Print what the process says, until it ends."""
    assert process.stderr is not None
    printing = None
    if process.stdout is not None:
        printing = threading.Thread(target=_copy, args=(process.stdout, "stdout"), daemon=True)
        printing.start()
    _copy(process.stderr, "stderr")
    if printing is not None:
        printing.join()


def _copy(lines: IO[bytes], to: str) -> None:
    for line in lines:
        stream = getattr(sys, to)  # a screen may have put itself in its place meanwhile
        with suppress(OSError, ValueError):  # nobody reads it any more: the deliverer goes on
            stream.write(line.decode(errors="backslashreplace"))
            stream.flush()


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
