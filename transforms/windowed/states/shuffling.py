"""The elements of the shuffle: a state a key and window, or, for windows of one pane, a block of many keys.

Runners spend far more on an element of a window than Tandem does on a state: the local one a third of a millisecond.
With one pane a window, a block of keys differs from single keys in its cost only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from apache_beam.transforms import trigger
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import TimestampCombiner
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.columns import FIRST_TIME, GENERATION, KEY, LAST_TIME
from tandem.schemas.hashing import hash64
from tandem.schemas.states import from_ipc, merge_blocks, to_ipc, with_generation
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.windows.assigning import Windows

__all__ = ["Answer", "ByKey", "ByShard", "Shuffle", "counts_elements", "has_one_pane", "shuffle_for"]

Answer = tuple[str, int, dict[str, Any]]
"""A key, the number of its events, and its results."""

_MOST_STATES: Final = 64
_MOST_BLOCKS: Final = 16


class Shuffle(Protocol):
    """Converts a bundle's states to elements of a shuffle, and these to answers."""

    @property
    def element_type(self) -> Any:
        """The type of the shuffle's elements."""

    @property
    def most(self) -> int:
        """Most elements of a key that are collected before they are merged."""

    def parts(self, block: pa.RecordBatch, windows: Sequence[Windows]) -> Iterator[WindowedValue]:
        """The elements of a block whose generations are indices of `windows`."""

    def merged(self, parts: Sequence[bytes]) -> bytes:
        """One element merged from several of one key."""

    def answers(self, gathered: Sequence[tuple[Any, list[bytes]]]) -> Iterator[list[Answer]]:
        """The answers of each of the runner's keys, from its elements."""


@dataclass(frozen=True)
class ByKey:
    """A state a key and window: correct under every window and trigger."""

    measures: EventMeasures
    timed_by: str = FIRST_TIME
    """The event whose time is a state's: the first or the last."""
    element_type: Any = tuple[str, bytes]
    most: int = _MOST_STATES

    def parts(self, block: pa.RecordBatch, windows: Sequence[Windows]) -> Iterator[WindowedValue]:
        """See Shuffle."""
        if not block.num_rows:
            return
        keys, granules = block.column(KEY).to_pylist(), block.column(GENERATION).to_pylist()
        times = block.column(self.timed_by).field("value").to_pylist()
        for key, state, granule, time in zip(keys, self.measures.encode(block), granules, times, strict=True):
            if windows[granule]:
                yield WindowedValue((key, state), Timestamp(micros=time), windows[granule])

    def merged(self, parts: Sequence[bytes]) -> bytes:
        """See Shuffle."""
        return self.measures.merged(parts)

    def answers(self, gathered: Sequence[tuple[Any, list[bytes]]]) -> Iterator[list[Answer]]:
        """See Shuffle."""
        answers = self.measures.answers([states for _, states in gathered])
        return ([(key, *answer)] for (key, _), answer in zip(gathered, answers, strict=True))


@dataclass(frozen=True)
class ByShard:
    """A block a shard of keys and window, for windows of one pane."""

    measures: EventMeasures
    shards: int
    element_type: Any = tuple[int, bytes]
    most: int = _MOST_BLOCKS

    def parts(self, block: pa.RecordBatch, windows: Sequence[Windows]) -> Iterator[WindowedValue]:
        """See Shuffle."""
        granules = block.column(GENERATION).to_numpy()
        ends = np.append(np.flatnonzero(np.diff(granules)) + 1, len(granules)).tolist() if len(granules) else []
        for start, end in zip([0, *ends], ends, strict=False):
            where, rows = windows[int(granules[start])], with_generation(block.slice(start, end - start), 0)
            time = Timestamp(micros=rows.column(FIRST_TIME).field("value")[0].as_py())
            for shard, part in self._sharded(rows) if where else ():
                yield WindowedValue((shard, to_ipc(part)), time, where)

    def _sharded(self, rows: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        if self.shards == 1:
            yield 0, rows
            return
        shards = (hash64(rows.column(KEY)) % np.uint64(self.shards)).astype(np.int64)
        for shard in np.unique(shards).tolist():
            yield shard, rows.filter(pa.array(shards == shard))

    def merged(self, parts: Sequence[bytes]) -> bytes:
        """See Shuffle."""
        return parts[0] if len(parts) == 1 else to_ipc(self._block(parts))

    def _block(self, parts: Sequence[bytes]) -> pa.RecordBatch:
        return merge_blocks(self.measures.block_measures, map(from_ipc, parts))

    def answers(self, gathered: Sequence[tuple[Any, list[bytes]]]) -> Iterator[list[Answer]]:
        """See Shuffle."""
        return (list(self.measures.block_answers(self._block(parts))) for _, parts in gathered)


def shuffle_for(measures: EventMeasures, windowing: Windowing, shards: int) -> Shuffle:
    """The cheapest shuffle that is correct under these windows and trigger."""
    if has_one_pane(windowing):
        return ByShard(measures, shards)
    latest = windowing.timestamp_combiner == TimestampCombiner.OUTPUT_AT_LATEST
    return ByKey(measures, LAST_TIME if latest else FIRST_TIME)


def has_one_pane(windowing: Windowing) -> bool:
    """Whether each key has exactly one pane in each of its windows, with the window's end as its timestamp."""
    fires = windowing.triggerfn
    once = isinstance(fires, trigger.DefaultTrigger) or (
        isinstance(fires, trigger.AfterWatermark) and fires.early is None and fires.late is None
    )
    at_end = windowing.timestamp_combiner == TimestampCombiner.OUTPUT_AT_EOW
    in_time = windowing.allowed_lateness.micros == 0
    return bool(once and at_end and in_time and not windowing.windowfn.is_merging())


def counts_elements(fires: Any) -> bool:
    """Whether a trigger counts more than one element, and so would count states in place of events."""
    if isinstance(fires, trigger.AfterCount):
        return bool(fires.count > 1)
    inner = [getattr(fires, name, None) for name in ("early", "late", "underlying")]
    return any(counts_elements(one) for one in (*inner, *getattr(fires, "triggers", ())) if one is not None)
