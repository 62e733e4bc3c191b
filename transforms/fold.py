"""Fold the panes of a tile into its states, incrementally: the stateful heart of the live pipeline.

Panes are discarding, so each holds only what is new; the fold keeps the whole. It runs in the global window, keyed by
tile and shard, because state of a fixed window is collected at the window's end, while late panes still come.
"""

import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms import trigger, window
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming

from schemas.compiled import CompiledDefinition, compile_definition
from schemas.definition import Definition
from transforms.elements import FoldUpdate, TileKey
from transforms.tile_state import TileState
from views.opening import open_store

__all__ = ["FoldTiles", "LiveRunRef"]

DAY: Final = 86_400
_TIMINGS: Final = {PaneInfoTiming.EARLY: "early", PaneInfoTiming.ON_TIME: "on time", PaneInfoTiming.LATE: "late"}
_COMPACT_AFTER: Final = 16
"""Entries of a tile's bag before it is written anew as one, at the least; then at each doubling."""


@dataclass(frozen=True, slots=True)
class LiveRunRef:
    """Which live run folds, and what it stands on."""

    store: str
    """URL of the view store."""
    run: str
    base_batch_run: str | None
    """The batch run that was published when the run began: events that it counted are duplicates."""


@dataclass
class FoldTiles(beam.PTransform):  # type: ignore[misc]
    """Panes of events, every `freshness` and at the watermark, folded into updates of whole states.

    Input (TileKey, RecordBatch) with the tile's start as timestamp; output FoldUpdate.
    """

    definition: Definition
    live_run: LiveRunRef

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[FoldUpdate]:
        return (
            parts
            | "Tiles" >> _tile_windows(self.definition)
            | "Panes" >> beam.GroupByKey()
            | "Timing" >> beam.ParDo(_TimePane()).with_output_types(tuple[TileKey, tuple[str, pa.RecordBatch]])
            | "Forever" >> beam.WindowInto(window.GlobalWindows())
            | "Fold" >> beam.ParDo(_Fold(self.definition, self.live_run)).with_output_types(FoldUpdate)
        )


class _AfterDelay(trigger.AfterProcessingTime):  # type: ignore[misc]
    """Beam's own trigger takes whole seconds only, although its wire form has milliseconds."""

    def to_runner_api(self, context: Any) -> Any:
        delay = beam_runner_api_pb2.TimestampTransform.Delay(delay_millis=max(round(self.delay * 1000), 1))
        transform = beam_runner_api_pb2.TimestampTransform(delay=delay)
        after = beam_runner_api_pb2.Trigger.AfterProcessingTime(timestamp_transforms=[transform])
        return beam_runner_api_pb2.Trigger(after_processing_time=after)


def _tile_windows(definition: Definition) -> beam.WindowInto:
    freshness = definition.freshness / 1e6
    return beam.WindowInto(
        window.FixedWindows(Duration(micros=definition.tile)),
        trigger=trigger.AfterWatermark(
            early=trigger.Repeatedly(_AfterDelay(freshness)),
            late=trigger.Repeatedly(_AfterDelay(freshness)),
        ),
        accumulation_mode=trigger.AccumulationMode.DISCARDING,
        # The source alone decides what is late. A day more than that, so that no runner ever drops.
        allowed_lateness=Duration(micros=definition.lateness) + DAY,
    )


class _TimePane(beam.DoFn):  # type: ignore[misc]
    """Keep the pane's timing, which the change to the global window forgets; one batch a pane."""

    def process(
        self,
        pane: tuple[TileKey, Iterable[pa.RecordBatch]],
        info: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[tuple[TileKey, tuple[str, pa.RecordBatch]]]:
        key, parts = pane
        yield key, (_TIMINGS.get(info.timing, "early"), pa.concat_batches(list(parts)))


class _Fold(beam.DoFn):  # type: ignore[misc]
    """Runner state: a bag of snapshot and deltas, and a token that says which of them the cache has seen.

    The tile's state is kept in the process between panes. It is used only when its token is the one in the runner's
    state, so a bundle that failed, or a tile that moved to another worker, reads the bag again.
    """

    ENTRIES = BagStateSpec("entries", BytesCoder())
    TOKEN = ReadModifyWriteStateSpec("token", BytesCoder())
    CLEAR = TimerSpec("clear", TimeDomain.WATERMARK)

    def __init__(self, definition: Definition, live_run: LiveRunRef) -> None:
        self._definition = definition
        self._live_run = live_run
        self._compiled: CompiledDefinition | None = None

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def process(
        self,
        pane: tuple[TileKey, tuple[str, pa.RecordBatch]],
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        token: Any = beam.DoFn.StateParam(TOKEN),
        clear: Any = beam.DoFn.TimerParam(CLEAR),
    ) -> Iterator[FoldUpdate]:
        key, (timing, events) = pane
        cached = _CACHE.take(self._cache_key(key), token.read())
        if cached is None:
            cached = self._restore(key, list(entries.read()))
        update = cached.state.update([events], timing)
        if cached.entries >= cached.compact_at:
            entries.clear()
            entries.add(cached.state.snapshot_bytes())
            cached = _Cached(cached.state, entries=1, compact_at=max(_COMPACT_AFTER, 2 * cached.entries))
        else:
            entries.add(cached.state.delta_bytes(update))
            cached.entries += 1
        fresh = secrets.token_bytes(8)
        token.write(fresh)
        _CACHE.put(self._cache_key(key), fresh, cached)
        # Runners hold the watermark of panes that are late for their window no further back than where they give the
        # window up: a tile that is cleared before that would meet its last pane empty.
        clear.set(Timestamp(micros=key[0] + 2 * self._definition.tile + self._definition.lateness) + DAY)
        yield update

    @on_timer(CLEAR)  # type: ignore[untyped-decorator]
    def forget(
        self,
        key: Any = beam.DoFn.KeyParam,
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        token: Any = beam.DoFn.StateParam(TOKEN),
    ) -> None:
        """The watermark is a tile past the runner's allowed lateness: no pane of this tile can come any more."""
        entries.clear()
        token.clear()
        _CACHE.drop(self._cache_key(key))

    def _cache_key(self, key: TileKey) -> tuple[str, str, int, int]:
        return (self._live_run.run, self._definition.version, *key)

    def _restore(self, key: TileKey, entries: list[bytes]) -> "_Cached":
        assert self._compiled is not None
        state = TileState(self._compiled, key)
        state.restore(entries)
        if self._live_run.base_batch_run is not None and self._definition.deduplicate:
            store = open_store(self._live_run.store)
            version, base = self._definition.version, self._live_run.base_batch_run
            state.seen.load(store.counted_ids(version, base, *key))
        return _Cached(state, len(entries), max(_COMPACT_AFTER, 2 * len(entries)))


@dataclass(slots=True)
class _Cached:
    state: TileState
    entries: int
    compact_at: int


@dataclass
class _TileCache:
    """States of this process's open tiles. A state is taken out while it is worked on: one owner at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    states: dict[tuple[str, str, int, int], tuple[bytes, _Cached]] = field(default_factory=dict)

    def take(self, key: tuple[str, str, int, int], token: bytes | None) -> _Cached | None:
        with self.lock:
            held = self.states.pop(key, None)
        return held[1] if held is not None and held[0] == token else None

    def put(self, key: tuple[str, str, int, int], token: bytes, cached: _Cached) -> None:
        with self.lock:
            self.states[key] = (token, cached)

    def drop(self, key: tuple[str, str, int, int]) -> None:
        with self.lock:
            self.states.pop(key, None)


_CACHE: Final = _TileCache()
