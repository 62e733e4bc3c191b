"""The fold's access to the view store: restored states, evicted tiles, and attempts."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tandem.journal.storage.opening import open_blobs
from tandem.schemas.buckets import buckets_of, shard_from
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.transforms.elements import TileKey
from tandem.transforms.fold.cache import COMPACT_AFTER, CachedTile
from tandem.transforms.fold.state import Beside, TileState
from tandem.transforms.routing.seen_ids import SeenIds, ids_batch, merge_sorted
from tandem.transforms.sinks.retrying import retrying
from tandem.transforms.sources.reader_epochs import ReaderEpochs, are_replaced
from tandem.views.live.evicted_tiles import EvictedTile
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["LiveRunRef", "StoredTiles"]


@dataclass(frozen=True, slots=True)
class LiveRunRef:
    """The live run that folds, and the batch run that it is based on."""

    store: str
    """URL of the view store."""
    run: str
    base_batch_run: str | None
    """The batch run that was published when the run began: events that it counted are duplicates."""
    shards: int = 1
    """Parts of each tile, see `tandem.schemas.buckets`; fixed for the run."""


@dataclass
class StoredTiles:
    """The tiles of one live run and definition in the view store; calls are retried while it is locked or down."""

    compiled: CompiledDefinition
    live_run: LiveRunRef

    def restore(self, key: TileKey, entries: list[bytes], ids: list[bytes]) -> CachedTile:
        """The state from a runner's entries and ids; without any, that of a new tile or of one forgotten long ago."""
        return retrying(lambda: self._restore(key, entries, ids))

    def take_back(self, key: TileKey, token: bytes) -> CachedTile:
        """The state of an evicted tile. The runner has nothing of it: its next entry has to be a snapshot."""
        return retrying(lambda: self._take_back(key, token))

    def evict(self, state: TileState, token: bytes) -> None:
        """Store a state under a token. Late copies with an earlier generation may still arrive."""
        ids = state.own_ids() if self.compiled.definition.deduplicate else ids_batch(merge_sorted([]))
        newest = max([*state.tallies, *state.late.lowest.values()], default=0)
        evicted = EvictedTile(newest, ids, state.evicted_bytes())
        retrying(lambda: self._store.evicted_tiles.keep(*self._place(state.tile), token, evicted))

    def forget(self, key: TileKey, token: bytes, before: int) -> None:
        """Remove an evicted tile that gets no more events, and states of tiles `before` it (microseconds UTC)."""
        retrying(lambda: self._store.evicted_tiles.forget(*self._place(key), token, before))

    def mark_behind(self, key: TileKey, epochs: ReaderEpochs) -> bool:
        """Mark the tile, so that nothing is published until it has caught up, unless its reader was replaced by a later
        one.

        A worker that was presumed dead and resumes never catches up with the store, and nothing would remove its mark
        during the run. Returns whether the tile was marked.
        """
        version, run = self.compiled.version, self.live_run.run
        journal = retrying(lambda: self._store.live.get(version, run)).journal
        if are_replaced(open_blobs(journal), run, epochs):
            return False
        retrying(lambda: self._store.live.mark_behind(version, run, *key))
        return True

    def next_attempt(self, state: TileState) -> int | None:
        """The number of the attempt that replaces the store's rows; None while the store has more events."""
        return retrying(lambda: self._next_attempt(state))

    @property
    def _store(self) -> ViewStore:
        return open_store(self.live_run.store)

    def _place(self, key: TileKey) -> tuple[str, str, int, int]:
        return (self.compiled.version, self.live_run.run, *key)

    def _restore(self, key: TileKey, entries: list[bytes], parts: list[bytes]) -> CachedTile:
        state = self._new_state(key)
        held = state.restore(entries, parts)
        cleared = [] if entries else self._store.evicted_tiles.ids(*self._place(key))
        for ids in cleared:
            state.seen.add(ids)
        behind = not cleared and self._is_behind(state)
        owes = held or bool(cleared)
        return CachedTile(state, len(entries), max(COMPACT_AFTER, 2 * len(entries)), owes, behind)

    def _take_back(self, key: TileKey, token: bytes) -> CachedTile:
        state, evicted = self._new_state(key), self._store.evicted_tiles.find(*self._place(key), token)
        if evicted is None:  # batch has covered all that it counted
            state.attempt = self._store.live.tile_progress(*self._place(key)).attempt
        else:
            state.restore([evicted.states])
            state.seen.load(evicted.ids)
        if self.compiled.definition.deduplicate and (batch := self._batch()) is not None:
            # of the ids that were kept those are gone that batch has covered since
            state.seen.load(self._counted(batch[0], key))
        return CachedTile(state, 0, 0, owes=True, behind=self._is_behind(state))

    def _new_state(self, key: TileKey) -> TileState:
        state, base = TileState(self.compiled, key), self.live_run.base_batch_run
        if base is not None and self.compiled.definition.deduplicate:
            state.seen.load(self._counted(base, key))
        return state

    def _is_behind(self, state: TileState) -> bool:
        """Whether the store has more of a tile than its state; if so, the state gets the served batch run's ids."""
        progress = self._store.live.tile_progress(*self._place(state.tile))
        behind = progress.ahead_of(state.seen_by_generation(), state.attempt)
        if behind and (batch := self._batch()) is not None:
            covered, left_out = SeenIds(), SeenIds()
            covered.load(self._counted(batch[0], state.tile))
            left_out.load(self._store.batch.left_out_ids(batch[0], state.tile[0], self._buckets(state.tile)))
            state.beside = Beside(batch[1], covered, left_out)
        return behind

    def _counted(self, batch_run: str, key: TileKey) -> pa.RecordBatch:
        return self._store.batch.counted_ids(self.compiled.version, batch_run, key[0], self._buckets(key))

    def _buckets(self, key: TileKey) -> range:
        return shard_from(key[1], self.live_run.shards)

    def _batch(self) -> tuple[str, int] | None:
        """(the served batch run of this version, its boundary), None without one."""
        served = self._store.publishing.served(self.compiled.definition.name)
        if served is None or served.batch_run is None or served.version != self.compiled.version:
            return None
        return served.batch_run, served.boundary

    def _next_attempt(self, state: TileState) -> int | None:
        progress = self._store.live.tile_progress(*self._place(state.tile))
        if progress.ahead_of(state.seen_by_generation(), progress.attempt):
            return None
        tile, buckets = state.tile[0], self._buckets(state.tile)
        pruned_to, stored = self._store.live.tile_events(self.compiled.version, self.live_run.run, tile)
        mine = state.events_by_key(pruned_to)
        keys = pa.array(list(stored), pa.string())
        missing = any(
            mine.get(name, 0) < stored[name]
            for name, bucket in zip(keys.to_pylist(), buckets_of(keys).tolist(), strict=True)
            if bucket in buckets
        )
        return None if missing else progress.attempt + 1
