"""The rounds of deliverers beside a pipeline: errors are printed once, noted in the store, and tried again."""

from __future__ import annotations

import logging
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tandem.pipelines.delivery.deliverer import Delivered, Deliverer, line_of
from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.schemas.privacy.secrets import redacted
from tandem.schemas.telemetry.logs import logged

__all__ = ["Rounds", "Say", "deliver_until", "run_round", "said_once", "to_stderr"]

_log: Final = logging.getLogger("tandem.delivery")

Say = Callable[[str], None]

_LONGEST: Final = 60.0
"""Most seconds between attempts after an unexpected error."""


def deliver_until(rounds: Sequence[Rounds], ended: Callable[[], bool]) -> None:
    """Run rounds until `ended`, which waits between them, and then those that are due; leases are released."""
    try:
        while not ended():
            for each in rounds:
                each.run(time.monotonic())
        for each in rounds:
            each.run(time.monotonic())
    finally:
        for each in rounds:
            each.deliverer.close()


@dataclass
class Rounds:
    """The rounds of one deliverer, which only the run's end stops.

    An error of an output or the store is printed and tried again in the next round. An unexpected error is printed with
    its trace, and noted in the store, so that health is red; it is retried after 1 s, 2 s, 4 s, up to a minute, and
    meanwhile another process may deliver.
    """

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
            if run_round(self.deliverer, self.say) is not None and self.failures != 0:
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


def run_round(deliverer: Deliverer, say: Say) -> Delivered | None:
    """One round; None where another process delivers, or nothing could be."""
    try:
        done = deliverer.run_once()
    except TandemError as error:
        say(f"{deliverer.name}: results wait: {error}")
        return None
    for line in done.failed if done is not None else ():
        say(f"{deliverer.name}: {line}")
    return done


def said_once(say: Say) -> Say:
    """A printer that skips a line equal to the last one."""
    last: list[str] = []

    def tell(line: str) -> None:
        if last != [line]:
            last[:] = [line]
            say(line)

    return tell


def to_stderr(line: str) -> None:
    """Print a line for people, or log it where logs are structured."""
    if not logged(line, logging.WARNING):
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
