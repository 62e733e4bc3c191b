"""Which reader of a lane brought a pane's events: by it a worker that was presumed dead is known when it wakes up.

A runner gives all workers of a job the same graph, and a job that it restarts is the same job: nothing else tells
a paused worker from its replacement. But each reader of a lane appends an opening segment before it pulls, and a lane
that has a later one than brought these events has a later reader. What a reader emits before it has opened its lane
comes from the journal and carries no opening: it may be anybody's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from tandem.journal.lanes.watermark_board import newest_epochs
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_name

__all__ = ["ReaderEpochs", "are_replaced", "epochs_of", "gathered", "stamped", "unstamped"]

ReaderEpochs = Mapping[str, int]
"""By lane (RUN/LANE) the number of the opening segment of the reader that brought events of it."""

_KEY: Final = b"openings"


def stamped(events: pa.RecordBatch, epochs: ReaderEpochs) -> pa.RecordBatch:
    """The events, with the readers that brought them as metadata; without any none."""
    if not epochs:
        return events.replace_schema_metadata(None)
    return events.replace_schema_metadata({_KEY: json.dumps(epochs, sort_keys=True).encode()})


def unstamped(events: pa.RecordBatch) -> pa.RecordBatch:
    """The events alone: what is kept of them has the same bytes whichever run brought them."""
    return stamped(events, {})


def epochs_of(events: pa.RecordBatch) -> ReaderEpochs:
    """The readers that brought the events."""
    found = (events.schema.metadata or {}).get(_KEY)
    return json.loads(found) if found is not None else {}


def gathered(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The parts as one batch; of several readers of a lane the earliest is named."""
    epochs: dict[str, int] = {}
    for part in parts:
        for lane, opening in epochs_of(part).items():
            epochs[lane] = min(opening, epochs.get(lane, opening))
    return stamped(pa.concat_batches([unstamped(part) for part in parts]), epochs)


def are_replaced(blobs: BlobStore, run: str, epochs: ReaderEpochs) -> bool:
    """Whether a lane of the run has been opened by a later reader than one of these."""
    if not epochs:
        return False
    newest = {lane_name(run, lane): opening for lane, opening in newest_epochs(blobs, run).items()}
    return any(newest.get(lane, 0) > opening for lane, opening in epochs.items())
