"""The product, broken on purpose in one place each, within real processes: see broken/sitecustomize.py."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["PROCESS_BREAKS", "broken"]

FOLDER = Path(__file__).parent / "broken"


def broken(name: str) -> dict[str, str]:
    """Environment variables of a process that is to be broken so. Raises KeyError for a break that isn't known."""
    path = [str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"TANDEM_BREAK": PROCESS_BREAKS[name].__name__, "PYTHONPATH": os.pathsep.join(path)}


def acknowledges_before_it_writes() -> None:
    """The reader acknowledges what it pulled, then writes it; a failpoint lies between the two."""
    from tandem.journal.lanes.reader import LaneReader

    intact = LaneReader._write

    def write(self: Any, writer: Any, batch: Any) -> Any:
        self._broker.acknowledge(batch.ack_ids)
        self._failpoint("after-acknowledge")
        return intact(self, writer, batch)

    LaneReader._write = write  # type: ignore[method-assign]


def every_copy_counts() -> None:
    """De-duplication is off."""
    from breaking.breaks import BREAKS

    BREAKS["every_copy_counts"](pytest.MonkeyPatch())


def nonces_are_ignored() -> None:
    """Fencing is off: a writer takes whatever lies at its next number for its own."""
    from breaking.breaks import BREAKS

    BREAKS["nonces_are_ignored"](pytest.MonkeyPatch())


def the_pointer_moves_in_two_steps() -> None:
    """The boundary moves, and the process dies before the batch run does."""
    from breaking.torn_pointer import torn_publish
    from tandem.views.publishing.publications import Publishing

    Publishing.publish = torn_publish(lambda: os.kill(os.getpid(), signal.SIGKILL))  # type: ignore[method-assign]


PROCESS_BREAKS: dict[str, Callable[[], None]] = {
    made.__name__: made
    for made in (
        acknowledges_before_it_writes,
        every_copy_counts,
        nonces_are_ignored,
        the_pointer_moves_in_two_steps,
    )
}
