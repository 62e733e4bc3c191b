"""Fold the panes of a tile into its states, incrementally: the stateful heart of the live pipeline.

A pane holds only what is new; the fold keeps the whole. It runs in the global window, keyed by
tile and shard, because state of a fixed window is collected at the window's end, while late panes still come.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, BaseTimer, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from journal.tail import is_follower
from schemas.compiled import CompiledDefinition, compile_definition
from schemas.definition import Definition
from schemas.durations import DAY, HOUR
from schemas.states import empty_block
from transforms.elements import FoldUpdate, TileKey
from transforms.panes import Pane
from transforms.patience import patiently
from transforms.routing import shards_of
from transforms.seen_ids import ID_SCHEMA, SeenIds, ids_batch, merge_sorted
from transforms.tile_cache import COMPACT_AFTER, TILE_CACHE, CachedTile
from transforms.tile_state import Beside, TileState
from views.asides import Aside
from views.opening import open_store
from views.store import ViewStore

__all__ = ["FoldTiles", "LiveRunRef", "cleared_at"]

_OVER, _ASIDE, _BACK = b"+", b"-", b"*"
"""What may stand behind a token: the tile's end has passed; it is set aside; a pane came all the same."""
_TOKEN: Final = 8
"""Bytes of a token."""


@dataclass(frozen=True, slots=True)
class LiveRunRef:
    """Which live run folds, and what it stands on."""

    store: str
    """URL of the view store."""
    run: str
    base_batch_run: str | None
    """The batch run that was published when the run began: events that it counted are duplicates."""


def cleared_at(definition: Definition, tile: int, run: str) -> int:
    """The watermark (microseconds UTC) at which a run sets a tile aside: its ids, by far the most, go to the store.

    Hardly anything in time comes later, and what does finds the tile again: events of a lane that has just woken up,
    whose own watermark is far behind, or of a runner that holds no watermark for what lies behind it. A follower may
    be told of what is up to a day behind, see `followed_source.judged_by`.
    """
    return tile + 2 * definition.tile + definition.lateness + (DAY if is_follower(run) else 0)


@dataclass
class FoldTiles(beam.PTransform):  # type: ignore[misc]
    """Panes folded into updates of whole states."""

    definition: Definition
    live_run: LiveRunRef
    shards: int = 1

    def expand(self, panes: beam.PCollection[Pane]) -> beam.PCollection[FoldUpdate]:
        fold = beam.ParDo(_Fold(self.definition, self.live_run, self.shards)).with_output_types(FoldUpdate)
        return panes | "Fold" >> fold


class _Fold(beam.DoFn):  # type: ignore[misc]
    """Runner state: a bag of snapshot and deltas, and a token that says which of them the cache has seen.

    Behind the token stands how far the watermark has passed the tile. It is set aside once its lateness is over: the
    store has all of it then, under the token, which is what is left in the runner's state for a day more.

    The tile's state is kept in the process between panes. It is used only when its token is the one in the runner's
    state, so a bundle that failed, or a tile that moved to another worker, reads the bag again. A state that is behind
    what the store has of this run was restored from a checkpoint: see views.live_attempts.
    """

    ENTRIES = BagStateSpec("entries", BytesCoder())
    TOKEN = ReadModifyWriteStateSpec("token", BytesCoder())
    CLEAR = TimerSpec("clear", TimeDomain.WATERMARK)
    ON_TIME = TimerSpec("on_time", TimeDomain.WATERMARK)

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
        on_time: Any = beam.DoFn.TimerParam(ON_TIME),
    ) -> Iterator[FoldUpdate]:
        key, (timing, events) = pane
        known = token.read()
        mark = known[_TOKEN:] if known is not None else b""
        timing = "late" if mark else timing
        cached = TILE_CACHE.take(self._cache_key(key), known)
        if cached is None:
            cached = self._restore(key, list(entries.read()), known)
        update = cached.state.update([events], timing)
        replacement = self._replacement(key, cached, timing) if cached.behind else None
        if cached.entries >= cached.compact_at:
            entries.clear()
            entries.add(cached.state.snapshot_bytes())
            cached.compact_at = max(COMPACT_AFTER, 2 * cached.entries)
            cached.entries = 1
        else:
            entries.add(cached.state.delta_bytes(update))
            cached.entries += 1
        back = mark in (_ASIDE, _BACK)
        fresh = secrets.token_bytes(_TOKEN) + (_BACK if back else mark)
        token.write(fresh)
        TILE_CACHE.put(self._cache_key(key), fresh, cached)
        # Where one pane came late more may: each would fetch the tile's ids anew.
        clear.set(self._due(key, HOUR if back else 0))
        if known is None and isinstance(on_time, BaseTimer):
            on_time.set(Timestamp(micros=key[0] + self._definition.tile))
        if replacement is not None:
            yield replacement
        elif not cached.behind:
            yield update

    @on_timer(ON_TIME)  # type: ignore[untyped-decorator]
    def pass_end(self, key: Any = beam.DoFn.KeyParam, token: Any = beam.DoFn.StateParam(TOKEN)) -> Iterator[FoldUpdate]:
        """The watermark has passed the tile's end: say so with an update that changes nothing."""
        known = token.read()
        if known is None or known[_TOKEN:]:
            return
        cached = TILE_CACHE.take(self._cache_key(key), known)
        token.write(known + _OVER)
        if cached is not None:
            TILE_CACHE.put(self._cache_key(key), known + _OVER, cached)
        assert self._compiled is not None
        block, ids = empty_block(self._compiled.measures), pa.RecordBatch.from_pylist([], schema=ID_SCHEMA)
        attempt = cached.state.attempt if cached is not None else 0
        yield FoldUpdate(key[0], key[1], block, (), (), ids, ids, "on time", attempt)

    @on_timer(CLEAR)  # type: ignore[untyped-decorator]
    def set_aside(
        self,
        key: Any = beam.DoFn.KeyParam,
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        token: Any = beam.DoFn.StateParam(TOKEN),
        clear: Any = beam.DoFn.TimerParam(CLEAR),
    ) -> None:
        """The watermark is a tile past the lateness: keep only a token; a day later, nothing."""
        known = token.read()
        if known is None or known[_TOKEN:] == _ASIDE:
            self.forget(key, entries, token)
            return
        cached = TILE_CACHE.take(self._cache_key(key), known) or self._restore(key, list(entries.read()), known)
        if cached.behind:  # it needs all that it has, to catch up; the panes that it waits for set the timer again
            TILE_CACHE.put(self._cache_key(key), known, cached)
            return
        clear.set(self._due(key, DAY))
        fresh = secrets.token_bytes(_TOKEN)
        self._keep(key, cached.state, fresh)
        entries.clear()
        token.write(fresh + _ASIDE)

    def forget(self, key: TileKey, entries: Any, token: Any) -> None:
        """Nothing comes for this tile any more; of what came its ids stay in the store until batch covers them."""
        known = token.read()
        if known is None or known[_TOKEN:] != _ASIDE:
            cached = TILE_CACHE.take(self._cache_key(key), known) or self._restore(key, list(entries.read()), known)
            self._keep(key, cached.state, secrets.token_bytes(_TOKEN))
        else:
            store, version = open_store(self._live_run.store), self._definition.version
            place, before = (version, self._live_run.run, *key), key[0] - DAY
            patiently(lambda: store.forget_asides(*place, known[:_TOKEN], before))
        entries.clear()
        token.clear()
        TILE_CACHE.drop(self._cache_key(key))

    def _due(self, key: TileKey, later: int) -> Timestamp:
        return Timestamp(micros=cleared_at(self._definition, key[0], self._live_run.run) + later)

    def _cache_key(self, key: TileKey) -> tuple[str, str, int, int]:
        return (self._live_run.run, self._definition.version, *key)

    def _restore(self, key: TileKey, entries: list[bytes], known: bytes | None) -> CachedTile:
        return patiently(lambda: self._read_back(key, entries, known))

    def _read_back(self, key: TileKey, entries: list[bytes], known: bytes | None) -> CachedTile:
        assert self._compiled is not None
        state = TileState(self._compiled, key)
        state.restore(entries)
        store, place = open_store(self._live_run.store), (self._definition.version, self._live_run.run, *key)
        if self._live_run.base_batch_run is not None and self._definition.deduplicate:
            state.seen.load(store.counted_ids(self._definition.version, self._live_run.base_batch_run, *key))
        if known is not None and known[_TOKEN:] == _ASIDE:
            self._load_aside(state, store, known[:_TOKEN])
            forgotten, compact_at = False, 0  # the runner has nothing of it: the next entry is the whole
        else:
            cleared = [] if entries else store.cleared_ids(*place)
            for ids in cleared:
                state.seen.add(ids)
            forgotten, compact_at = bool(cleared), max(COMPACT_AFTER, 2 * len(entries))
        progress = store.tile_progress(*place)
        behind = not forgotten and progress.ahead_of(state.seen_by_generation(), state.attempt)
        if behind:
            store.mark_behind(*place)
            self._load_served(state, store)
        return CachedTile(state, len(entries), compact_at, behind)

    def _batch(self, store: ViewStore) -> tuple[str, int] | None:
        """The batch run of this version that is served, and its boundary."""
        served = store.served(self._definition.name)
        if served is None or served.batch_run is None or served.version != self._definition.version:
            return None
        return served.batch_run, served.boundary

    def _load_aside(self, state: TileState, store: ViewStore, token: bytes) -> None:
        """What was kept of a tile; where nothing is any more, batch has covered all that it counted."""
        place = (self._definition.version, self._live_run.run, *state.tile)
        aside = store.aside(*place, token)
        if aside is None:
            state.attempt = store.tile_progress(*place).attempt
        else:
            state.restore([aside.states])
            state.seen.load(aside.ids)
        if self._definition.deduplicate:
            self._load_covered(state, store)

    def _load_covered(self, state: TileState, store: ViewStore) -> None:
        """What batch has covered since is gone from the ids that were kept."""
        batch = self._batch(store)
        if batch is not None:
            state.seen.load(store.counted_ids(self._definition.version, batch[0], *state.tile))

    def _load_served(self, state: TileState, store: ViewStore) -> None:
        batch = self._batch(store)
        if batch is None:
            return
        covered, left_out = SeenIds(), SeenIds()
        covered.load(store.counted_ids(self._definition.version, batch[0], *state.tile))
        left_out.load(store.left_out_ids(batch[0], *state.tile))
        state.beside = Beside(batch[1], covered, left_out)

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

    def _replacement(self, key: TileKey, cached: CachedTile, timing: str) -> FoldUpdate | None:
        """What takes the place of the store's rows once this state has caught up with them."""
        attempt = patiently(lambda: self._next_attempt(key, cached.state))
        if attempt is None:
            return None
        cached.behind, cached.state.beside, cached.state.attempt = False, None, attempt
        return cached.state.whole(timing)

    def _keep(self, key: TileKey, state: TileState, token: bytes) -> None:
        """A late copy of an earlier generation may come even now; what it is a copy of straddles then."""
        store, version = open_store(self._live_run.store), self._definition.version
        ids = state.own_ids() if self._definition.deduplicate else ids_batch(merge_sorted([]))
        newest = max([*state.tallies, *state.late.lowest.values()], default=0)
        aside = Aside(newest, ids, state.snapshot_bytes(ids=False))
        patiently(lambda: store.set_aside(version, self._live_run.run, *key, token, aside))
