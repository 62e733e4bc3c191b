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
from transforms.patience import patiently
from transforms.routing import shards_of
from transforms.seen_ids import SeenIds
from transforms.tile_state import Beside, TileState
from views.opening import open_store
from views.store import ViewStore

__all__ = ["FirePanes", "FoldTiles", "LatePanes", "LiveRunRef"]

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


Pane = tuple[TileKey, tuple[str, pa.RecordBatch]]
"""Tile and shard, the pane's timing, and its events."""


@dataclass
class FirePanes(beam.PTransform):  # type: ignore[misc]
    """Events by tile as panes in the global window, every `freshness` and at the watermark.

    Input (TileKey, RecordBatch) with the tile's start as timestamp.
    """

    definition: Definition

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[Pane]:
        return (
            parts
            | "Tiles" >> _tile_windows(self.definition)
            | "Fire" >> beam.GroupByKey()
            | "Timing" >> beam.ParDo(_TimePane()).with_output_types(Pane)
            | "Forever" >> beam.WindowInto(window.GlobalWindows())
        )


class LatePanes(beam.PTransform):  # type: ignore[misc]
    """Events that came too late as panes too: they don't count, but the fold must know of copies."""

    def expand(self, late: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[Pane]:
        return (
            late
            | "Forever" >> beam.WindowInto(window.GlobalWindows())
            | "Timing" >> beam.Map(_too_late).with_output_types(Pane)
        )


def _too_late(part: tuple[TileKey, pa.RecordBatch]) -> Pane:
    return part[0], ("late", part[1])


@dataclass
class FoldTiles(beam.PTransform):  # type: ignore[misc]
    """Panes folded into updates of whole states."""

    definition: Definition
    live_run: LiveRunRef
    shards: int = 1

    def expand(self, panes: beam.PCollection[Pane]) -> beam.PCollection[FoldUpdate]:
        fold = beam.ParDo(_Fold(self.definition, self.live_run, self.shards)).with_output_types(FoldUpdate)
        return panes | "Fold" >> fold


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
    ) -> Iterator[Pane]:
        key, parts = pane
        yield key, (_TIMINGS.get(info.timing, "early"), pa.concat_batches(list(parts)))


class _Fold(beam.DoFn):  # type: ignore[misc]
    """Runner state: a bag of snapshot and deltas, and a token that says which of them the cache has seen.

    The tile's state is kept in the process between panes. It is used only when its token is the one in the runner's
    state, so a bundle that failed, or a tile that moved to another worker, reads the bag again. A state that is behind
    what the store has of this run was restored from a checkpoint: see views.live_attempts.
    """

    ENTRIES = BagStateSpec("entries", BytesCoder())
    TOKEN = ReadModifyWriteStateSpec("token", BytesCoder())
    CLEAR = TimerSpec("clear", TimeDomain.WATERMARK)

    def __init__(self, definition: Definition, live_run: LiveRunRef, shards: int = 1) -> None:
        self._definition = definition
        self._live_run = live_run
        self._shards = shards
        self._compiled: CompiledDefinition | None = None

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def process(
        self,
        pane: Pane,
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        token: Any = beam.DoFn.StateParam(TOKEN),
        clear: Any = beam.DoFn.TimerParam(CLEAR),
    ) -> Iterator[FoldUpdate]:
        key, (timing, events) = pane
        cached = _CACHE.take(self._cache_key(key), token.read())
        if cached is None:
            cached = self._restore(key, list(entries.read()))
        update = cached.state.update([events], timing)
        replacement = self._replacement(key, cached, timing) if cached.behind else None
        if cached.entries >= cached.compact_at:
            entries.clear()
            entries.add(cached.state.snapshot_bytes())
            cached.compact_at = max(_COMPACT_AFTER, 2 * cached.entries)
            cached.entries = 1
        else:
            entries.add(cached.state.delta_bytes(update))
            cached.entries += 1
        fresh = secrets.token_bytes(8)
        token.write(fresh)
        _CACHE.put(self._cache_key(key), fresh, cached)
        # Runners hold the watermark of panes that are late for their window no further back than where they give the
        # window up: a tile that is cleared before that would meet its last pane empty.
        clear.set(Timestamp(micros=key[0] + 2 * self._definition.tile + self._definition.lateness) + DAY)
        if replacement is not None:
            yield replacement
        elif not cached.behind:
            yield update

    @on_timer(CLEAR)  # type: ignore[untyped-decorator]
    def forget(
        self,
        key: Any = beam.DoFn.KeyParam,
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        token: Any = beam.DoFn.StateParam(TOKEN),
    ) -> None:
        """The watermark is a tile past the runner's allowed lateness: no pane of this tile can come any more."""
        if self._definition.deduplicate:
            cached = _CACHE.take(self._cache_key(key), token.read()) or self._restore(key, list(entries.read()))
            self._keep_ids(key, cached.state)
        entries.clear()
        token.clear()
        _CACHE.drop(self._cache_key(key))

    def _cache_key(self, key: TileKey) -> tuple[str, str, int, int]:
        return (self._live_run.run, self._definition.version, *key)

    def _restore(self, key: TileKey, entries: list[bytes]) -> "_Cached":
        return patiently(lambda: self._read_back(key, entries))

    def _read_back(self, key: TileKey, entries: list[bytes]) -> "_Cached":
        assert self._compiled is not None
        state = TileState(self._compiled, key)
        state.restore(entries)
        store, place = open_store(self._live_run.store), (self._definition.version, self._live_run.run, *key)
        if self._live_run.base_batch_run is not None and self._definition.deduplicate:
            state.seen.load(store.counted_ids(self._definition.version, self._live_run.base_batch_run, *key))
        cleared = store.cleared_ids(*place) if not entries else None
        if cleared is not None:
            state.seen.load(cleared)
        behind = cleared is None and store.tile_progress(*place).ahead_of(state.seen_by_generation(), state.attempt)
        if behind:
            store.mark_behind(*place)
            self._load_served(state, store)
        return _Cached(state, len(entries), max(_COMPACT_AFTER, 2 * len(entries)), behind)

    def _load_served(self, state: TileState, store: ViewStore) -> None:
        served = store.served(self._definition.name)
        if served is None or served.batch_run is None or served.version != self._definition.version:
            return
        covered, left_out = SeenIds(), SeenIds()
        covered.load(store.counted_ids(served.version, served.batch_run, *state.tile))
        left_out.load(store.left_out_ids(served.batch_run, *state.tile))
        state.beside = Beside(served.boundary, covered, left_out)

    def _next_attempt(self, key: TileKey, state: TileState) -> int | None:
        """The number of the attempt that replaces what the store has; None while that has more."""
        store, place = open_store(self._live_run.store), (self._definition.version, self._live_run.run)
        progress = store.tile_progress(*place, *key)
        if progress.ahead_of(state.seen_by_generation(), progress.attempt):
            return None
        pruned_to, stored = store.tile_events(*place, key[0])
        mine = state.events_by_key(pruned_to)
        keys = pa.array(list(stored), pa.string())
        missing = any(
            mine.get(name, 0) < stored[name]
            for name, shard in zip(keys.to_pylist(), shards_of(keys, self._shards).tolist(), strict=True)
            if shard == key[1]
        )
        return None if missing else progress.attempt + 1

    def _replacement(self, key: TileKey, cached: "_Cached", timing: str) -> FoldUpdate | None:
        """What takes the place of the store's rows once this state has caught up with them."""
        attempt = patiently(lambda: self._next_attempt(key, cached.state))
        if attempt is None:
            return None
        cached.behind, cached.state.beside, cached.state.attempt = False, None, attempt
        return cached.state.whole(timing)

    def _keep_ids(self, key: TileKey, state: TileState) -> None:
        """A late copy of an earlier generation may come even now; what it is a copy of straddles then."""
        store, version = open_store(self._live_run.store), self._definition.version
        if state.tallies:
            newest = max(state.tallies)
            patiently(lambda: store.keep_ids(version, self._live_run.run, *key, state.own_ids(), newest))


@dataclass(slots=True)
class _Cached:
    state: TileState
    entries: int
    compact_at: int
    behind: bool = False
    """The store has more of this tile than this state has seen: it was restored, and has to catch up first."""


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
