"""Delivers beside a pipeline: in the background of a live run's launcher, and once at a backfill's end."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from tandem.pipelines.delivery.deliverer import Delivered, Deliverer, holder_name, line_of
from tandem.pipelines.delivery.sources import has_sources
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.schemas.privacy.secrets import redacted
from tandem.schemas.telemetry.logs import logged
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["deliver_once", "delivering"]

_log: Final = logging.getLogger("tandem.delivery")

Say = Callable[[str], None]

_EVERY: Final = 0.25
"""Seconds between two rounds."""
_LONGEST: Final = 60.0
"""Most seconds between attempts after an unexpected error."""


@contextmanager
def delivering(store: str, definitions: Sequence[Definition], say: Say | None = None) -> Iterator[None]:
    """Deliver the results of definitions in a thread until the body ends, and those that are due then.

    Where another process delivers a name, this one takes over once it ends. An error is printed once, on stderr, and
    retried: it never ends the run. An unexpected error is printed with its trace, and noted in the store, so that
    health is red; it is retried after 1 s, 2 s, 4 s, up to a minute, and meanwhile another process may deliver.
    """
    delivered = [definition for definition in definitions if has_sources(definition)]
    if not delivered:
        yield
        return
    stop, holder, tell = threading.Event(), holder_name(), _once(say or _to_stderr)
    rounds = [_Rounds(Deliverer(open_store(store), compile_definition(each), holder), tell) for each in delivered]
    thread = threading.Thread(target=_deliver, args=(rounds, stop), name="deliver-results", daemon=True)
    thread.start()
    with ExitStack() as stack:
        for each in rounds:
            stack.callback(each.deliverer.close)
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=30)
        if not thread.is_alive():
            for each in rounds:
                each.run(time.monotonic())


def deliver_once(store: ViewStore, definition: Definition, say: Say) -> None:
    """Send the records that a backfill has made due, unless another process delivers; messages that can't be sent wait
    for a deliverer.
    """
    if not has_sources(definition):
        return
    deliverer = Deliverer(store, compile_definition(definition), holder_name())
    done = _round(deliverer, say)
    deliverer.close()
    if done is None:
        say(f"{definition.name}: results are left to the process that delivers them")
    else:
        say(f"{definition.name}: {done.revisions:,} revisions of results, {done.sent:,} messages sent")


def _deliver(rounds: Sequence[_Rounds], stop: threading.Event) -> None:
    while not stop.wait(_EVERY):
        for each in rounds:
            each.run(time.monotonic())


@dataclass
class _Rounds:
    """The rounds of one deliverer, which only the run's end stops."""

    deliverer: Deliverer
    say: Say
    failures: int | None = None
    """Errors in a row; None until it is known whether the store notes one."""
    not_before: float = -math.inf

    def run(self, now: float) -> None:
        """Run one round, unless it has to wait after an error. `now`: seconds of a monotonic clock."""
        if now < self.not_before:
            return
        try:
            if _round(self.deliverer, self.say) is not None and self.failures != 0:
                self.deliverer.note_working()
                self.failures = 0
        except TandemError as error:
            self.say(f"{self.deliverer.name}: results wait: {error}")
        except Exception as error:
            self.failures = (self.failures or 0) + 1
            wait = min(2.0 ** (self.failures - 1), _LONGEST)
            self.not_before = now + wait
            self.say(f"{self.deliverer.name}: results wait, by an error of Tandem itself: {line_of(error)}")
            if self.failures == 1:
                _log.error("%s", printable(redacted("".join(traceback.format_exception(error))), lines=True))
            with suppress(TandemError):
                self.deliverer.note_broken(error)


def _round(deliverer: Deliverer, say: Say) -> Delivered | None:
    try:
        done = deliverer.run_once()
    except TandemError as error:
        say(f"{deliverer.name}: results wait: {error}")
        return None
    for line in done.failed if done is not None else ():
        say(f"{deliverer.name}: {line}")
    return done


def _once(say: Say) -> Say:
    """A printer that skips a line equal to the last one."""
    last: list[str] = []

    def tell(line: str) -> None:
        if last != [line]:
            last[:] = [line]
            say(line)

    return tell


def _to_stderr(line: str) -> None:
    if not logged(line, logging.WARNING):
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
