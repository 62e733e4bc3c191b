"""Folds the panes of a tile into its states, incrementally: the stateful step of the live pipeline.

A pane holds only new events; the fold keeps the whole state. It runs in the global window, keyed by tile and shard,
because state of a fixed window is garbage-collected at the window's end, while late panes still arrive.
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

from tandem.journal.tail import is_follower
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.states import empty_block
from tandem.schemas.time.durations import DAY, HOUR
from tandem.transforms.elements import FoldUpdate, TileKey
from tandem.transforms.fold.cache import COMPACT_AFTER, TILE_CACHE, CachedTile
from tandem.transforms.fold.stored_tiles import LiveRunRef, StoredTiles
from tandem.transforms.routing.panes import Pane
from tandem.transforms.routing.seen_ids import ID_SCHEMA
from tandem.transforms.routing.spreading import place_of
from tandem.transforms.sources.reader_epochs import epochs_of, unstamped
from tandem.transforms.sources.traced import carrying, segments_of, traced

__all__ = ["FoldTiles", "cleared_at"]

_OVER, _EVICTED, _BACK = b"+", b"-", b"*"
"""Suffixes of a token: the tile's end has passed; the tile is evicted; a pane came after the eviction."""
_TOKEN: Final = 8
"""Bytes of a token."""


def cleared_at(definition: Definition, tile: int, run: str) -> int:
    """The watermark (microseconds UTC) at which a run evicts a tile: its ids, most of its state, move to the store.

    Few events that aren't late arrive after it, and these restore the tile: events of a lane that resumes with a
    watermark far behind, or of a runner that holds back no watermark for them. A follower gets events of up to a day
    earlier, see `followed.judged_by`.
    """
    return tile + 2 * definition.tile + definition.lateness + (DAY if is_follower(run) else 0)


@dataclass
class FoldTiles(beam.PTransform):  # type: ignore[misc]
    """Updates of whole states, folded from panes."""

    definition: Definition
    live_run: LiveRunRef

    def expand(self, panes: beam.PCollection[Pane]) -> beam.PCollection[FoldUpdate]:
        fold = beam.ParDo(_Fold(self.definition, self.live_run)).with_output_types(FoldUpdate)
        return panes | "Fold" >> fold


def _keep(entries: Any, ids: Any, cached: CachedTile, update: FoldUpdate) -> None:
    """Add an update to the runner's state; from time to time a snapshot of the states replaces all entries.

    Ids, most of a tile's state, are appended and not rewritten, so that the bytes a bundle writes don't grow with its
    tile.
    """
    if cached.owes:
        ids.clear()
    for part in cached.state.all_parts() if cached.owes else cached.state.new_parts(update):
        ids.add(part)
    if cached.owes or cached.entries >= cached.compact_at:
        entries.clear()
        entries.add(cached.state.snapshot_bytes())
        cached.compact_at = max(COMPACT_AFTER, 2 * cached.entries)
        cached.entries, cached.owes = 1, False
    else:
        entries.add(cached.state.delta_bytes(update))
        cached.entries += 1


class _Fold(beam.DoFn):  # type: ignore[misc]
    """Runner state: a bag of snapshot and deltas, a bag of ids, and a token that identifies what the cache has seen.

    The token's suffix says how far the watermark has passed the tile. The tile is evicted once its lateness is over:
    its state is then in the store, under the token, which alone stays in the runner's state for another day.

    Between panes the tile's state is cached in the process. The cached state is used only if its token is the one in
    the runner's state, so after a failed bundle, or on another worker, the bags are read again. A state that is behind
    the store's of this run was restored from a checkpoint: see `tandem.views.live.attempts`.
    """

    ENTRIES = BagStateSpec("entries", BytesCoder())
    IDS = BagStateSpec("ids", BytesCoder())
    TOKEN = ReadModifyWriteStateSpec("token", BytesCoder())
    CLEAR = TimerSpec("clear", TimeDomain.WATERMARK)
    ON_TIME = TimerSpec("on_time", TimeDomain.WATERMARK)

    def __init__(self, definition: Definition, live_run: LiveRunRef) -> None:
        self._definition = definition
        self._live_run = live_run

    def setup(self) -> None:
        self._tiles = StoredTiles(compile_definition(self._definition), self._live_run)

    def process(
        self,
        pane: Pane,
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        ids: Any = beam.DoFn.StateParam(IDS),
        token: Any = beam.DoFn.StateParam(TOKEN),
        clear: Any = beam.DoFn.TimerParam(CLEAR),
        on_time: Any = beam.DoFn.TimerParam(ON_TIME),
    ) -> Iterator[FoldUpdate]:
        key, (timing, events) = place_of(pane[0]), pane[1]
        known = token.read()
        mark = known[_TOKEN:] if known is not None else b""
        timing = "late" if mark else timing
        cached = TILE_CACHE.take(self._cache_key(key), known)
        if cached is None:
            cached = self._restored(key, entries, ids, known)
        if cached.behind and not cached.marked:
            cached.marked = self._tiles.mark_behind(key, epochs_of(events))
        with traced("fold", lambda: segments_of(events), tile=key[0], definition=self._definition.name):
            update = cached.state.update([unstamped(events)], timing)
        replacement = self._replacement(cached, timing) if cached.behind else None
        _keep(entries, ids, cached, update)
        back = mark in (_EVICTED, _BACK)
        fresh = secrets.token_bytes(_TOKEN) + (_BACK if back else mark)
        token.write(fresh)
        TILE_CACHE.put(self._cache_key(key), fresh, cached)
        # After one late pane more may come: each would fetch the tile's ids again.
        clear.set(self._due(key, HOUR if back else 0))
        if known is None and isinstance(on_time, BaseTimer):
            on_time.set(Timestamp(micros=key[0] + self._definition.tile))
        if replacement is not None:
            yield carrying(replacement, events)
        elif not cached.behind:
            yield carrying(update, events)

    @on_timer(ON_TIME)  # type: ignore[untyped-decorator]
    def pass_end(self, key: Any = beam.DoFn.KeyParam, token: Any = beam.DoFn.StateParam(TOKEN)) -> Iterator[FoldUpdate]:
        """Emit an update without changes when the watermark passes the tile's end."""
        key, known = place_of(key), token.read()
        if known is None or known[_TOKEN:]:
            return
        cached = TILE_CACHE.take(self._cache_key(key), known)
        token.write(known + _OVER)
        if cached is not None:
            TILE_CACHE.put(self._cache_key(key), known + _OVER, cached)
        block, ids = empty_block(self._tiles.compiled.measures), pa.RecordBatch.from_pylist([], schema=ID_SCHEMA)
        attempt = cached.state.attempt if cached is not None else 0
        yield FoldUpdate(key[0], key[1], block, (), (), ids, ids, "on time", attempt)

    @on_timer(CLEAR)  # type: ignore[untyped-decorator]
    def evict(
        self,
        key: Any = beam.DoFn.KeyParam,
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        ids: Any = beam.DoFn.StateParam(IDS),
        token: Any = beam.DoFn.StateParam(TOKEN),
        clear: Any = beam.DoFn.TimerParam(CLEAR),
    ) -> None:
        """Replace the state by a token when the watermark is a tile past the lateness; remove the token a day later."""
        key, known = place_of(key), token.read()
        if known is None or known[_TOKEN:] == _EVICTED:
            self.forget(key, entries, ids, token)
            return
        cached = TILE_CACHE.take(self._cache_key(key), known) or self._restored(key, entries, ids, known)
        if cached.behind:  # it needs all that it has, to catch up; the panes that it waits for set the timer again
            TILE_CACHE.put(self._cache_key(key), known, cached)
            return
        clear.set(self._due(key, DAY))
        fresh = secrets.token_bytes(_TOKEN)
        self._tiles.evict(cached.state, fresh)
        entries.clear()
        ids.clear()
        token.write(fresh + _EVICTED)

    def forget(self, key: TileKey, entries: Any, ids: Any, token: Any) -> None:
        """Remove a tile that gets no more events; its ids stay in the store until batch covers them."""
        known = token.read()
        if known is None or known[_TOKEN:] != _EVICTED:
            cached = TILE_CACHE.take(self._cache_key(key), known) or self._restored(key, entries, ids, known)
            self._tiles.evict(cached.state, secrets.token_bytes(_TOKEN))
        else:
            self._tiles.forget(key, known[:_TOKEN], before=key[0] - DAY)
        entries.clear()
        ids.clear()
        token.clear()
        TILE_CACHE.drop(self._cache_key(key))

    def _due(self, key: TileKey, later: int) -> Timestamp:
        return Timestamp(micros=cleared_at(self._definition, key[0], self._live_run.run) + later)

    def _cache_key(self, key: TileKey) -> tuple[str, str, int, int]:
        return (self._live_run.run, self._definition.version, *key)

    def _replacement(self, cached: CachedTile, timing: str) -> FoldUpdate | None:
        """The update that replaces the store's rows once this state has caught up with them, else None."""
        attempt = self._tiles.next_attempt(cached.state)
        if attempt is None:
            return None
        cached.behind, cached.state.beside, cached.state.attempt = False, None, attempt
        return cached.state.whole(timing)

    def _restored(self, key: TileKey, entries: Any, ids: Any, known: bytes | None) -> CachedTile:
        """The state from the runner's entries and ids, or from the store if it was evicted under this token."""
        if known is not None and known[_TOKEN:] == _EVICTED:
            return self._tiles.take_back(key, known[:_TOKEN])
        return self._tiles.restore(key, list(entries.read()), list(ids.read()))
