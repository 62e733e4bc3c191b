"""Batch runs, written and read back: layers of states over a parent run, ids, manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tandem.schemas.buckets import ALL_BUCKETS
from tandem.schemas.errors import StoreError
from tandem.views import lookups
from tandem.views.batch import discarding, event_ids, writing
from tandem.views.batch.chains import Chains
from tandem.views.batch.rows import prepare
from tandem.views.layers.cutting import Part
from tandem.views.layers.registering import check_files, write_part
from tandem.views.reconcile import digest_rows
from tandem.views.rows import NOTHING_KNOWN, BatchManifest, BatchRun, Compiled, Completeness, FileSet
from tandem.views.storage.database import Clock, Database
from tandem.views.updates import BatchUpdateLike, SegmentLike

__all__ = ["BatchRuns"]


@dataclass(frozen=True, slots=True)
class BatchRuns:
    """The batch runs of a view store. Each call can be repeated.

    Calls raise StoreError for an unknown run; those that write also for a run that isn't being built.
    """

    database: Database
    chains: Chains
    clock: Clock

    def start(
        self,
        version: str,
        batch_run: str,
        *,
        boundary: int,
        parent: str | None = None,
        file_sets: Sequence[FileSet] = (),
        built_for: str | None = None,
        completeness: Completeness = NOTHING_KNOWN,
    ) -> BatchRun:
        """Register a batch run, or resume one that is being built.

        It adds the journal generations after its parent's boundary up to `boundary` (inclusive), and `file_sets` to its
        parent's. `built_for`: the live run that it will be published with, whose cross-boundary duplicates it leaves
        out. `completeness`: what its sources declare about their completeness, added to the parent's.
        """
        with self.database.write(durable=True) as connection:
            writing.start_batch_run(
                self.database,
                connection,
                definition=lookups.definition_row(connection, version).id,
                batch_run=batch_run,
                parent=parent,
                boundary=boundary,
                file_sets=file_sets,
                built_for=built_for,
                now=self.clock(),
                completeness=completeness,
            )
            return lookups.batch_run_value(connection, lookups.find_batch_run(connection, batch_run))

    def get(self, batch_run: str) -> BatchRun:
        """The batch run of this id."""
        with self.database.read() as connection:
            return lookups.batch_run_value(connection, lookups.find_batch_run(connection, batch_run))

    def write(self, compiled: Compiled, batch_run: str, updates: Sequence[BatchUpdateLike]) -> None:
        """Write the states and ids of updates, merged with the ancestors' states.

        All states of a tile and shard are in one update, and so are all ids with their tallies, in the same or another.
        """
        with self.database.read() as connection:
            run = writing.building_run(connection, batch_run)
            below = writing.read_below(connection, self.chains, run, updates)
        prepared = prepare(below, compiled.measures, updates)
        with self.database.write() as connection:
            run = writing.lock_batch_run(connection, batch_run)
            if writing.cleared_here(connection, run, updates) != below.cleared:
                below = writing.read_below(connection, self.chains, run, updates)
                prepared = prepare(below, compiled.measures, updates)
            writing.write_prepared(self.database, connection, prepared)

    def write_part(self, compiled: Compiled, batch_run: str, place: str, part: Part, block: pa.RecordBatch) -> None:
        """Write the states of one part of a batch run, merged with its ancestors', as a file at a place.

        `block`: all states of the part, with the tile as generation. Ids are written by `write`.
        """
        write_part(self.database, self.chains, compiled, batch_run, place, part, block)

    def write_segment_tiles(self, version: str, segments: Sequence[SegmentLike]) -> None:
        """Write the tiles that segments, or pieces of files, hold; `live.write_segments` does so for live."""
        with self.database.write() as connection:
            definition = lookups.definition_row(connection, version).id
            digest_rows.write_segment_tiles(self.database, connection, definition, segments)

    def clear_tiles(self, batch_run: str, tiles: Sequence[int]) -> None:
        """Clear tiles in a batch run (a repair), before any of their rows is written."""
        with self.database.write() as connection:
            row = writing.lock_batch_run(connection, batch_run)
            writing.clear_tiles(self.database, connection, self.chains, row, tiles)

    def finish(self, batch_run: str, manifest: BatchManifest) -> BatchRun:
        """Mark a batch run COMPLETE. Raises StoreError if it is COMPLETE with another manifest."""
        with self.database.write(durable=True) as connection:
            known = lookups.find_batch_run(connection, batch_run)
            if known.status != "COMPLETE" or BatchManifest.from_data(known.manifest) != manifest:
                row = writing.lock_batch_run(connection, batch_run)
                check_files(connection, row)
                writing.finish_batch_run(self.database, connection, self.chains, row, manifest)
            return lookups.batch_run_value(connection, lookups.find_batch_run(connection, batch_run))

    def discard(self, batch_run: str) -> None:
        """Undo a batch run that was never published, with its notes of dead letters; its files count as unread."""
        discarding.discard_batch_run(self.database, batch_run)

    def manifest(self, batch_run: str) -> BatchManifest:
        """The manifest of a batch run. Raises StoreError for an unfinished one."""
        with self.database.read() as connection:
            row = lookups.find_batch_run(connection, batch_run)
        if row.manifest is None:
            raise StoreError(f"batch run {batch_run!r} is {row.status} and has no manifest yet")
        return BatchManifest.from_data(row.manifest)

    def tiles(self, batch_run: str) -> tuple[int, int] | None:
        """The first and the last tile that the run itself computed; None without any."""
        with self.database.read() as connection:
            return lookups.tiles_of_run(connection, lookups.find_batch_run(connection, batch_run).ordinal)

    def counted_ids(self, version: str, batch_run: str, tile: int, buckets: range = ALL_BUCKETS) -> pa.RecordBatch:
        """The ids that a run and its ancestors counted in buckets of a tile: HASH, CONTENT, GENERATION, sorted."""
        with self.database.read() as connection:
            lookups.definition_row(connection, version)
            row = lookups.find_batch_run(connection, batch_run)
            return event_ids.column_batch(event_ids.counted_columns(connection, self.chains, row, tile, buckets))

    def left_out_ids(self, batch_run: str, tile: int, buckets: range = ALL_BUCKETS) -> pa.RecordBatch:
        """The ids that a batch run and its ancestors left to live and don't count; GENERATION: the boundary."""
        with self.database.read() as connection:
            row = lookups.find_batch_run(connection, batch_run)
            return event_ids.id_batch(event_ids.left_out_ids(connection, self.chains, row, tile, buckets))
