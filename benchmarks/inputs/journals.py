"""A journal as after a live run: sealed lanes with segments of 10,000 raw messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.runs.sealing import seal_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.segments import SegmentHeader, encode_segment
from tandem.schemas.messages import MESSAGE_SCHEMA

__all__ = ["write_journal"]

SUBSCRIPTION: Final = "projects/benchmark/subscriptions/clicks"
_A_SEGMENT: Final = 10_000


def write_journal(folder: Path, batches: Iterable[list[bytes]], published_at: int, lanes: int = 1) -> None:
    """Write the payloads in their order, segments by the lanes in turn.

    `published_at` (microseconds UTC) is the broker's time of all messages.
    """
    blobs = LocalBlobs(str(folder))
    run = start_run(blobs, SystemClock(), lanes=lanes, subscription=SUBSCRIPTION)
    for number, payloads in enumerate(_segments(batches)):
        header = SegmentHeader(
            run.id, number % lanes, number // lanes + 1, run.first_generation, run.nonce, subscription=SUBSCRIPTION
        )
        blobs.create(header.path, encode_segment(header, _messages(payloads, number, published_at)))
    # The next start seals what an ended run left open.
    for _ in seal_run(blobs, run.id, lanes, SUBSCRIPTION, run.first_generation, run):
        pass


def _segments(batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    for payloads in batches:
        for first in range(0, len(payloads), _A_SEGMENT):
            yield payloads[first : first + _A_SEGMENT]


def _messages(payloads: list[bytes], number: int, published_at: int) -> pa.RecordBatch:
    count = len(payloads)
    none = pa.MapArray.from_arrays(np.zeros(count + 1, np.int32), pa.array([], pa.string()), pa.array([], pa.string()))
    ids = pa.array([str(number * _A_SEGMENT + row) for row in range(count)])
    times = pa.array(np.full(count, published_at))
    return pa.RecordBatch.from_arrays([ids, times, none, pa.array(payloads, pa.binary())], schema=MESSAGE_SCHEMA)
