"""Deduplicates events: an id counts once in its window, by ids in the runner's state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.userstate import BagStateSpec
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows, WindowFn
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.columns import GENERATION, ID, KEY, TIME
from tandem.schemas.errors import DefinitionError
from tandem.schemas.hashing import hash64
from tandem.schemas.states import from_ipc, to_ipc
from tandem.transforms.windowed.events.elements import PlacedEvents, WindowedParDo, globally
from tandem.transforms.windowed.events.placing import METRICS
from tandem.transforms.windowed.windows.assigning import Granules, assign

__all__ = ["KeepFirst", "digests_of", "id_windowing", "new_rows"]

_DIGEST: Final = pa.binary(16)
"""Two 64-bit hashes of an id: two ids with equal ones are not to be expected."""


@dataclass
class KeepFirst(beam.PTransform):  # type: ignore[misc]
    """Placed events without those whose id occurred before in the same window.

    For sliding windows and sessions, ids are kept by fixed intervals; all copies of an event lie in one, as they share
    its time. An interval's ids are removed with it, once the lateness is over.
    """

    windowing: Windowing
    by_column: bool
    shards: int

    def expand(self, events: beam.PCollection[PlacedEvents]) -> beam.PCollection[PlacedEvents]:
        of_ids = id_windowing(self.windowing, self.by_column)
        windowfn = self.windowing.windowfn if self.by_column else None
        spread = WindowedParDo(_Spread(of_ids.windowfn if self.by_column else None, self.shards), of_ids)
        first = WindowedParDo(_First(windowfn), Windowing(GlobalWindows()))
        parts = events | "Spread" >> spread.with_output_types(tuple[int, bytes])
        return parts | "First" >> first.with_output_types(PlacedEvents)


def id_windowing(windowing: Windowing, by_column: bool) -> Windowing:
    """The windows in which ids are kept. Raises DefinitionError for merging windows without such."""
    windows, lateness = windowing.windowfn, windowing.allowed_lateness
    if not by_column and windows.is_merging():
        message = "windows that merge can't tell copies apart: name the column of event times as event_time"
        raise DefinitionError(message, field="deduplicate")
    if by_column and isinstance(windows, SlidingWindows):
        return Windowing(
            FixedWindows(windows.period, Timestamp(micros=windows.offset.micros)),
            allowed_lateness=lateness + windows.size,
        )
    if by_column and isinstance(windows, Sessions):
        return Windowing(FixedWindows(windows.gap_size), allowed_lateness=lateness + windows.gap_size)
    if windows.is_merging():
        raise DefinitionError(f"{type(windows).__name__} merge by rules of their own", field="deduplicate")
    return Windowing(windows, allowed_lateness=lateness)


class _Spread(beam.DoFn):  # type: ignore[misc]
    """Events by window and shard of their ids."""

    def __init__(self, windows: WindowFn | None, shards: int) -> None:
        self._windows, self._shards = windows, shards

    def process(self, placed: PlacedEvents) -> Iterator[WindowedValue]:
        events = placed.events
        granules = Granules(events.column(GENERATION).to_numpy(), placed.windows)
        if self._windows is not None:
            granules = assign(self._windows, events.column(TIME).to_numpy(), np.zeros(events.num_rows, np.int64))
        shards = (hash64(events.column(ID), 2) % np.uint64(self._shards)).astype(np.int64)
        parts, of_row = np.unique(granules.of_row * self._shards + shards, return_inverse=True)
        for place, part in enumerate(parts.tolist()):
            rows = events.take(pa.array(np.flatnonzero(of_row == place)))
            at = Timestamp(micros=pc.min(rows.column(TIME)).as_py())
            for window in granules.windows[part // self._shards]:
                yield WindowedValue((part % self._shards, to_ipc(rows)), at, (window,))


class _First(beam.DoFn):  # type: ignore[misc]
    """Keeps the first event of each id. State: digests of the ids seen."""

    SEEN = BagStateSpec("seen", BytesCoder())

    def __init__(self, windows: WindowFn | None) -> None:
        self._windows = windows
        self._duplicates = Metrics.counter(METRICS, "duplicates")

    def process(
        self,
        part: tuple[int, bytes],
        window: Any = beam.DoFn.WindowParam,
        seen: Any = beam.DoFn.StateParam(SEEN),
    ) -> Iterator[WindowedValue]:
        events = from_ipc(part[1])
        digests = digests_of(events.column(ID))
        rows = new_rows(digests, b"".join(seen.read()))
        self._duplicates.inc(events.num_rows - len(rows))
        if len(rows):
            seen.add(_bytes_of(digests.take(pa.array(rows))))
            yield globally(self._placed(events.take(pa.array(rows)), window))

    def _placed(self, events: pa.RecordBatch, window: Any) -> PlacedEvents:
        """The events with the measures' windows, which may differ from those of ids."""
        granules = Granules(np.zeros(events.num_rows, np.int64), [(window,)])
        if self._windows is not None:
            keys = events.column(KEY).indices.to_numpy()
            granules = assign(self._windows, events.column(TIME).to_numpy(), keys)
        index = events.schema.get_field_index(GENERATION)
        return PlacedEvents(events.set_column(index, GENERATION, pa.array(granules.of_row)), tuple(granules.windows))


def digests_of(ids: pa.Array) -> pa.Array:
    """A digest of 16 bytes for each id."""
    both = np.stack([hash64(ids), hash64(ids, 1)], axis=1)
    return pa.FixedSizeBinaryArray.from_buffers(_DIGEST, len(ids), [None, pa.py_buffer(np.ascontiguousarray(both))])


def new_rows(digests: pa.Array, seen: bytes) -> npt.NDArray[np.int64]:
    """The first row of each digest that isn't among the seen ones, ascending."""
    codes = digests.dictionary_encode()
    first = np.unique(codes.indices.to_numpy(), return_index=True)[1]
    known = pa.FixedSizeBinaryArray.from_buffers(_DIGEST, len(seen) // 16, [None, pa.py_buffer(seen)])
    met = pc.is_in(codes.dictionary, value_set=known).to_numpy(zero_copy_only=False)
    return np.sort(first[~met]).astype(np.int64)


def _bytes_of(digests: pa.Array) -> bytes:
    return b"".join(digests.to_pylist())
