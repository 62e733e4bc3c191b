"""Failpoints: named instants at which a test kills a process, to prove that none loses or doubles anything.

`TANDEM_FAILPOINT=after-link:3` kills the process (SIGKILL) when it reaches `after-link` for the third time; without a
number, for the first.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["FAILPOINTS", "FAILPOINT_VARIABLE", "JOURNAL_FAILPOINTS", "STORE_FAILPOINTS", "Failpoint", "reached"]

Failpoint = Callable[[str], None]
"""Called with the name of the failpoint that was reached; an exception that it raises leaves the caller there."""

FAILPOINT_VARIABLE: Final = "TANDEM_FAILPOINT"

JOURNAL_FAILPOINTS: Final = (
    "after-pull",  # messages are leased, nothing is written
    "after-write",  # a blob's temporary file holds its bytes
    "after-flush",  # and they are on the disk
    "after-link",  # the blob has its name, its folder isn't flushed
    "after-segment",  # the segment is durable, nothing is acknowledged
    "after-acknowledge",  # acknowledged, not emitted
    "after-opening",  # a reader's opening segment is durable
    "after-marker",  # a generation's marker exists, the lane hasn't sealed
    "after-seal",  # a seal is durable
    "after-manifest",  # a run's manifest exists, no earlier lane is sealed by it
    "after-lane-seal",  # one lane of an earlier run was sealed, others perhaps not
)
"""Failpoints of the journal, in the order in which a run reaches them."""

STORE_FAILPOINTS: Final = (
    "mid-upsert",  # within a transaction of the view store, some of its rows are written
    "before-commit",  # all of them are
    "after-commit",  # the transaction is over, its caller doesn't know yet
    "before-pointer",  # a publication is written, not committed; the pointer stands at the one before
    "after-pointer",  # the pointer stands at the new one, not committed
    "after-publish",  # and committed
    "receipt",  # a repair and its receipt are written, not committed
    "layer-written",  # a file of a batch run is durable, the database doesn't name it
    "files-swapped",  # compaction has named its files instead of older ones, not committed
    "file-removed",  # a file that nothing names is gone, the database doesn't know
    "results-drained",  # revisions of results are written, not committed
    "decisions-drained",  # verdicts and episodes of alerts are written, not committed
)
"""Failpoints of the view store."""

FAILPOINTS: Final = (*JOURNAL_FAILPOINTS, "after-emit", *STORE_FAILPOINTS)
"""Every failpoint. `after-emit`: the runner has taken a segment, and no checkpoint says so."""

_lock = threading.Lock()
_counts: dict[str, int] = {}


def reached(name: str) -> None:
    """Kill this process with SIGKILL if TANDEM_FAILPOINT names this failpoint."""
    armed = os.environ.get(FAILPOINT_VARIABLE)
    if not armed:
        return
    wanted, _, nth = armed.partition(":")
    if wanted != name:
        return
    with _lock:
        _counts[name] = _counts.get(name, 0) + 1
        count = _counts[name]
    if count == int(nth or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
