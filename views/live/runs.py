"""Live runs, written and read back: states, segments, progress, watermarks."""

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
    """The live runs of a view store. Each call is one transaction, and can be repeated.

    Every method raises StoreError for an unknown run, those that write also for a dropped one.
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
        """Register a live run, or resume a known one.

        It replays the generations of `journal` after the boundary of `base_batch_run`. `takeover`: the segments after
        that boundary that the served run had; until it has them all, it isn't served.
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
        """The live run of this name."""
        with self.database.read() as connection:
            return lookups.live_run_value(connection, version, lookups.find_live_run(connection, version, run))

    def write(self, compiled: Compiled, run: str, updates: Sequence[LiveUpdateLike]) -> None:
        """Write whole states, tallies and cross-boundary duplicates of a live run.

        A row is replaced only by one of more events, a tally only by one that has seen more; pruned generations are
        ignored.
        """
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, compiled.version, run)
            writing.write_live(self.database, connection, row, compiled.measures, updates, self.clock())

    def write_segments(self, version: str, run: str, segments: Sequence[SegmentLike]) -> None:
        """Write the outcomes of segments' records, with their late events and numbers of dead letters.

        Segments without messages too: a run has caught up once it has them all.
        """
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, version, run)
            writing.write_segments(self.database, connection, row, segments, self.clock())

    def set_watermark(self, version: str, run: str, watermark: int, position: str = "") -> None:
        """Publish a live run's watermark (microseconds UTC); one below the stored watermark changes nothing.

        `position`: the lane (RUN/LANE) whose reader publishes it; readers of different lanes don't wait for each other.
        """
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, version, run)
            writing.set_watermark(self.database, connection, row, watermark, position, self.clock())

    def tile_progress(self, version: str, run: str, tile: int, shard: int) -> TileProgress:
        """The progress of a tile and shard of a live run, as written."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return tiles.tile_progress(connection, row.id, tile, shard)

    def tile_events(self, version: str, run: str, tile: int) -> tuple[int, dict[str, int]]:
        """(the generation up to which rows were pruned, events by key in the rows of a tile of a live run)."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return row.pruned_to, tiles.tile_events(connection, row.id, tile)

    def mark_behind(self, version: str, run: str, tile: int, shard: int) -> None:
        """Block publications of a live run whose runner went back to a checkpoint, until this tile is replaced."""
        with self.database.write(durable=True) as connection:
            row = writing.lock_live_run(connection, version, run)
            lock_shards(self.database, connection, row.id, [shard], self.clock())
            attempts.mark_behind(self.database, connection, row.id, tile, shard)

    def end_attempts(self, version: str, run: str) -> None:
        """Unblock publications of a live run whose job has ended: no tile will be replaced any more."""
        with self.database.write() as connection:
            row = writing.lock_live_run(connection, version, run, exclusive=True)
            attempts.forget_behind(connection, row.id)

    def cross_duplicate_ids(
        self, version: str, run: str, tile: int, boundary: int, buckets: range = ALL_BUCKETS
    ) -> pa.RecordBatch:
        """The ids that a live run counted after `boundary` although a copy lies before it; GENERATION: where they were
        counted.
        """
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return event_ids.id_batch(event_ids.cross_duplicate_ids(connection, row.id, tile, boundary, buckets))
