"""Reader epochs: the reader of a lane that emitted a pane's events, by which a resumed stale worker is recognized.

All workers of a job have the same graph, and a restarted job is the same job: nothing else distinguishes a paused
worker from its replacement. But each reader of a lane appends an opening segment before it pulls, and a lane with a
later opening than these events' has a later reader. Segments that a reader emits before it has opened its lane come
from the journal and carry no opening: any reader may emit them.
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
"""The number of the opening segment of the reader that emitted the events, by lane (RUN/LANE)."""

_KEY: Final = b"openings"


def stamped(events: pa.RecordBatch, epochs: ReaderEpochs) -> pa.RecordBatch:
    """The events with reader epochs as metadata; without any, the metadata are removed."""
    if not epochs:
        return events.replace_schema_metadata(None)
    return events.replace_schema_metadata({_KEY: json.dumps(epochs, sort_keys=True).encode()})


def unstamped(events: pa.RecordBatch) -> pa.RecordBatch:
    """The events without reader epochs: state has the same bytes whichever run emitted them."""
    return stamped(events, {})


def epochs_of(events: pa.RecordBatch) -> ReaderEpochs:
    """The epochs of the readers that emitted the events."""
    found = (events.schema.metadata or {}).get(_KEY)
    return json.loads(found) if found is not None else {}


def gathered(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The parts as one batch; of several epochs of a lane the earliest is kept."""
    epochs: dict[str, int] = {}
    for part in parts:
        for lane, opening in epochs_of(part).items():
            epochs[lane] = min(opening, epochs.get(lane, opening))
    return stamped(pa.concat_batches([unstamped(part) for part in parts]), epochs)


def are_replaced(blobs: BlobStore, run: str, epochs: ReaderEpochs) -> bool:
    """Whether a lane of the run was opened by a later reader than one of these."""
    if not epochs:
        return False
    newest = {lane_name(run, lane): opening for lane, opening in newest_epochs(blobs, run).items()}
    return any(newest.get(lane, 0) > opening for lane, opening in epochs.items())
