"""What runs in a deliverer's process: rounds, until its standard input ends."""

from __future__ import annotations

import pickle
import select
import sys
from typing import Final

from tandem.pipelines.delivery.beside.process import Order
from tandem.pipelines.delivery.beside.rounds import Rounds, deliver_until, said_once, to_stderr
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.privacy.umask import keep_private
from tandem.schemas.telemetry.context import keep
from tandem.schemas.telemetry.logs import log_as
from tandem.schemas.telemetry.traces import trace_to
from tandem.views.storage.opening import open_store

__all__ = ["main"]

_EVERY: Final = 0.25
"""Seconds between two rounds."""


def main() -> None:
    """Deliver as the order says, until the input ends; what is due then is delivered, too."""
    keep_private()
    order: Order = pickle.load(sys.stdin.buffer)
    log_as(order.log_format)
    keep(**order.context)
    trace_to(None)
    say = said_once(to_stderr)
    rounds = [
        Rounds(Deliverer(open_store(order.store), compile_definition(each), order.holder), say)
        for each in order.definitions
    ]
    deliver_until(rounds, _input_ends)


def _input_ends() -> bool:
    """Wait for the pause between two rounds; True at once when the input ends, after which nothing comes."""
    readable, _, _ = select.select([sys.stdin], [], [], _EVERY)
    return bool(readable)
