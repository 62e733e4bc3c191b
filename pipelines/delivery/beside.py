"""Delivering beside a pipeline: in the background of a live run's launcher, and once at a backfill's end."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from tandem.pipelines.delivery.deliverer import Delivered, Deliverer, holder_name
from tandem.pipelines.delivery.sources import has_sources
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.schemas.telemetry.logs import logged
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["deliver_once", "delivering"]

Say = Callable[[str], None]

_EVERY: Final = 0.25
"""Seconds from one look at what is due to the next."""


@contextmanager
def delivering(store: str, definitions: Sequence[Definition], say: Say | None = None) -> Iterator[None]:
    """Deliver the results of definitions in a thread until the body ends, and what is due then.

    Where another process delivers a name, this one takes over once it ends. What goes wrong is said once, on stderr,
    and tried again: it never ends the run.
    """
    delivered = [definition for definition in definitions if has_sources(definition)]
    if not delivered:
        yield
        return
    stop, holder, tell = threading.Event(), holder_name(), _once(say or _to_stderr)
    deliverers = [Deliverer(open_store(store), compile_definition(each), holder) for each in delivered]
    thread = threading.Thread(target=_deliver, args=(deliverers, stop, tell), name="deliver-results", daemon=True)
    thread.start()
    with ExitStack() as stack:
        for deliverer in deliverers:
            stack.callback(deliverer.close)
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=30)
        if not thread.is_alive():
            for deliverer in deliverers:
                _round(deliverer, tell)


def deliver_once(store: ViewStore, definition: Definition, say: Say) -> None:
    """Send what a backfill has made due, unless another process delivers; what can't be sent waits for who does."""
    if not has_sources(definition):
        return
    deliverer = Deliverer(store, compile_definition(definition), holder_name())
    done = _round(deliverer, say)
    deliverer.close()
    if done is None:
        say(f"{definition.name}: results are left to the process that delivers them")
    else:
        say(f"{definition.name}: {done.revisions:,} revisions of results, {done.sent:,} messages sent")


def _deliver(deliverers: Sequence[Deliverer], stop: threading.Event, say: Say) -> None:
    while not stop.wait(_EVERY):
        for deliverer in deliverers:
            _round(deliverer, say)


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
    """Say a line only if it isn't the last one."""
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
