"""Raw messages as the broker gave them, and what decoding makes of them."""

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
    """A record that can't be decoded or validated, byte for byte, with its reason."""

    payload: bytes
    reason: str
    stage: str
    """'decode', 'validate' or 'expression'."""
    row: int
    """Index in the batch of messages, or of the record in its file."""
    message_id: str = ""
    publish_time: int = 0
    """Microseconds since 1970-01-01 UTC, by the broker's clock; 0 for records of files."""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one batch of messages, or one piece of a file, decodes to.

    received = events.num_rows + len(dead), always.
    """

    events: pa.RecordBatch
    """The source's fields that were asked for, then columns.TIME and columns.ID; no row has a null time or id."""
    rows: npt.NDArray[np.int64]
    """For each event its index in the batch of messages, or of the record in its file."""
    dead: tuple[DeadLetter, ...]

    @property
    def received(self) -> int:
        """Number of records that came in."""
        return int(self.events.num_rows) + len(self.dead)
