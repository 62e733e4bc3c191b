"""Raw messages as received from the broker, and their decoded form."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["MESSAGE_SCHEMA", "DeadLetter", "Decoded"]

MESSAGE_SCHEMA = pa.schema(
    [
        pa.field("message_id", pa.string(), nullable=False),
        # microseconds since 1970-01-01 UTC, by the broker's clock
        pa.field("publish_time", pa.int64(), nullable=False),
        pa.field("attributes", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ]
)
"""A batch of raw messages. The journal stores it in the record shape of Pub/Sub's Cloud Storage subscriptions."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that can't be decoded or validated, byte for byte, with the reason."""

    payload: bytes
    reason: str
    stage: str
    """'decode', 'validate' or 'expression'."""
    row: int
    """Index of the message in its batch, or of the record in its file."""
    message_id: str = ""
    publish_time: int = 0
    """Microseconds since 1970-01-01 UTC, by the broker's clock; 0 for records of files."""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The decoded form of one batch of messages, or of one piece of a file.

    received = events.num_rows + len(dead), always.
    """

    events: pa.RecordBatch
    """The requested fields of the source, then columns.TIME and columns.ID; no row has a null time or id."""
    rows: npt.NDArray[np.int64]
    """For each event the index of its message in the batch, or of its record in the file."""
    dead: tuple[DeadLetter, ...]

    @property
    def received(self) -> int:
        """The number of records received."""
        return int(self.events.num_rows) + len(self.dead)
