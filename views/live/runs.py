"""Live runs as they are written and read back: states, segments, progress, watermarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tandem.schemas.buckets import ALL_BUCKETS
from tandem.views import lookups
from tandem.views.batch import event_ids
from tandem.views.live import attempts, tiles, writing
from tandem.views.live.run_locks import lock_shards
from tandem.views.live.tiles import TileProgress
from tandem.views.rows import Compiled, LaneExtent, LiveRun
from tandem.views.storage.database import Clock, Database
from tandem.views.updates import LiveUpdateLike, SegmentLike

__all__ = ["LiveRuns"]


@dataclass(frozen=True, slots=True)
class LiveRuns:
    """The part of a view store that live runs write. Each call is one transaction, and can be repeated.

    Every method raises StoreError for a run that is unknown, those that write also for one that was dropped.
    """

    database: Database
    clock: Clock

    def start(
        self,
        version: str,
        run: str,
        *,
        journal: str = "",
        base_batch_run: str | None = None,
        takeover: Sequence[LaneExtent] = (),
    ) -> LiveRun:
        """Write a live run down, or resume a known one.

        It replays the generations of `journal` after the boundary of `base_batch_run`. `takeover`: the
        segments after that boundary that the served run had; until it has them all, it isn't served.
        """
        with self.database.write(durable=True) as connection:
            definition = lookups.definition_row(connection, version).id
            base = writing.base_of(connection, base_batch_run)
            writing.start_live_run(
                self.database,
                connection,
                definition=definition,
                run=run,
                journal=journal,
                base=base,
                takeover=takeover,
                now=self.clock(),
            )
            return lookups.live_run_value(connection, version, lookups.find_live_run(connection, version, run))

    def get(self, version: str, run: str) -> LiveRun:
        """A live run."""
        with self.database.read() as connection:
            return lookups.live_run_value(connection, version, lookups.find_live_run(connection, version, run))

    def write(self, compiled: Compiled, run: str, updates: Sequence[LiveUpdateLike]) -> None:
        """Write whole states, tallies and cross-boundary duplicates of a live run.

        A row gives way only to one of more events, a tally only to one that has seen more; generations that
        were pruned are passed over.
        """
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, compiled.version, run)
            writing.write_live(self.database, connection, row, compiled.measures, updates, self.clock())

    def write_segments(self, version: str, run: str, segments: Sequence[SegmentLike]) -> None:
        """Write where the records of segments went, with their late events and numbers of dead letters.

        Segments without messages too: a run has caught up once it has them all.
        """
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, version, run)
            writing.write_segments(self.database, connection, row, segments, self.clock())

    def set_watermark(self, version: str, run: str, watermark: int, position: str = "") -> None:
        """Publish a live run's watermark (microseconds UTC); an earlier one than before changes nothing.

        `position`: the lane whose reader does so (RUN/LANE): those of different lanes don't wait for each other.
        """
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, version, run)
            writing.set_watermark(self.database, connection, row, watermark, position, self.clock())

    def tile_progress(self, version: str, run: str, tile: int, shard: int) -> TileProgress:
        """How far a tile and shard of a live run has been written."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return tiles.tile_progress(connection, row.id, tile, shard)

    def tile_events(self, version: str, run: str, tile: int) -> tuple[int, dict[str, int]]:
        """(the generation up to which rows were pruned, events by key in the rows of a tile of a live run)."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return row.pruned_to, tiles.tile_events(connection, row.id, tile)

    def mark_behind(self, version: str, run: str, tile: int, shard: int) -> None:
        """A live run's runner went back to a checkpoint: nothing is published with it until this tile is replaced."""
        with self.database.write(durable=True) as connection:
            row = writing.lock_live_run(connection, version, run)
            lock_shards(self.database, connection, row.id, [shard], self.clock())
            attempts.mark_behind(self.database, connection, row.id, tile, shard)

    def end_attempts(self, version: str, run: str) -> None:
        """A live run's job has ended, so that no tile is replaced any more: none is waited for when publishing."""
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, version, run, exclusive=True)
            attempts.forget_behind(connection, row.id)

    def cross_duplicate_ids(
        self, version: str, run: str, tile: int, boundary: int, buckets: range = ALL_BUCKETS
    ) -> pa.RecordBatch:
        """What a live run counted after `boundary` although a copy lies before it; GENERATION: counted in."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return event_ids.id_batch(event_ids.cross_duplicate_ids(connection, row.id, tile, boundary, buckets))
