"""What runs write into the view store, and read back while they run.

All of it can be repeated: the same call again changes nothing. Each call is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.schemas.errors import StoreError
from tandem.views import lookups
from tandem.views.batch import discarding, event_ids
from tandem.views.batch import writing as batch
from tandem.views.batch.chains import Chains
from tandem.views.batch.rows import prepare
from tandem.views.dead_letters.store import LetterStore
from tandem.views.live import attempts as live_attempts
from tandem.views.live import evicted_tiles as asides
from tandem.views.live import tiles as live_tiles
from tandem.views.live import writing as live
from tandem.views.live.evicted_tiles import Aside
from tandem.views.live.tiles import TileProgress
from tandem.views.reconcile.digest_rows import write_segment_tiles
from tandem.views.rows import (
    NOTHING_TOLD,
    BatchManifest,
    BatchRun,
    BatchUpdateLike,
    Compiled,
    FileSet,
    Ids,
    LaneExtent,
    LiveRun,
    LiveUpdateLike,
    SegmentLike,
    Told,
)
from tandem.views.storage.database import Clock, Database, wall_clock
from tandem.views.storage.tables import definitions

__all__ = ["RunStore"]


class RunStore(LetterStore):
    """The part of a view store that runs need: definitions, live runs, batch runs, dead letters (as LetterStore)."""

    def __init__(self, url: str, *, clock: Clock = wall_clock, create: bool = True) -> None:
        """Open `sqlite:///PATH`, a plain path, or `postgresql://...`; an empty one is made where `create`
        allows it.

        Raises StoreError for a missing file, another program's or a damaged database, or another schema
        version.
        """
        self.database = Database(url, create=create)
        self.chains = Chains()
        self._clock = clock

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    # Definitions

    def register(self, compiled: Compiled, text: str = "") -> None:
        """Write a definition version down with its text (YAML); to be done before anything else of it."""
        with self.database.write(durable=True) as connection:
            lookups.register(connection, compiled, text, self._clock())

    def definition_text(self, version: str) -> str:
        """The text that a version was registered with. Raises StoreError for an unknown version."""
        with self.database.read() as connection:
            return str(lookups.definition_row(connection, version).text)

    def any_registered(self) -> bool:
        """Whether any definition was ever registered."""
        with self.database.read() as connection:
            return connection.execute(sa.select(definitions.c.id).limit(1)).first() is not None

    # Live runs

    def start_live_run(
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
            base = live.base_of(connection, base_batch_run)
            live.start_live_run(
                connection,
                definition=definition,
                run=run,
                journal=journal,
                base=base,
                takeover=takeover,
                now=self._clock(),
            )
            return lookups.live_run_value(connection, version, lookups.find_live_run(connection, version, run))

    def live_run(self, version: str, run: str) -> LiveRun:
        """A live run. Raises StoreError for an unknown one."""
        with self.database.read() as connection:
            return lookups.live_run_value(connection, version, lookups.find_live_run(connection, version, run))

    def write_live(self, compiled: Compiled, run: str, updates: Sequence[LiveUpdateLike]) -> None:
        """Write whole states, tallies and straddlers of a live run.

        A row gives way only to one of more events, a tally only to one that has seen more; generations that
        were pruned are passed over. Raises StoreError for a run that is unknown or was dropped.
        """
        with self.database.write() as connection:
            row = live.lock_live_run(connection, compiled.version, run)
            live.write_live(self.database, connection, row, compiled.measures, updates, self._clock())

    def write_segments(self, version: str, run: str, segments: Sequence[SegmentLike]) -> None:
        """Write where the records of segments went, with their late events and numbers of dead letters.

        Segments without messages too: a run has caught up once it has them all.
        """
        with self.database.write() as connection:
            row = live.lock_live_run(connection, version, run)
            live.write_segments(self.database, connection, row, segments, self._clock())

    def write_segment_tiles(self, version: str, segments: Sequence[SegmentLike]) -> None:
        """Write which tiles segments, or pieces of files, hold; `write_segments` does so for its segments."""
        with self.database.write() as connection:
            definition = lookups.definition_row(connection, version).id
            write_segment_tiles(self.database, connection, definition, segments)

    def tile_progress(self, version: str, run: str, tile: int, shard: int) -> TileProgress:
        """How far a tile and shard of a live run has been written."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return live_tiles.tile_progress(connection, row.id, tile, shard)

    def tile_events(self, version: str, run: str, tile: int) -> tuple[int, dict[str, int]]:
        """(the generation up to which rows were pruned, events by key in the rows of a tile of a live run)."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return row.pruned_to, live_tiles.tile_events(connection, row.id, tile)

    def mark_behind(self, version: str, run: str, tile: int, shard: int) -> None:
        """A live run's runner went back to a checkpoint: nothing is published with it until this tile is replaced."""
        with self.database.write(durable=True) as connection:
            row = live.lock_live_run(connection, version, run)
            live_attempts.mark_behind(self.database, connection, row.id, tile, shard)

    def end_attempts(self, version: str, run: str) -> None:
        """A live run's job has ended, so that no tile is replaced any more: none is waited for when publishing."""
        with self.database.write() as connection:
            row = live.lock_live_run(connection, version, run)
            live_attempts.forget_behind(connection, row.id)

    def set_aside(self, version: str, run: str, tile: int, shard: int, token: bytes, aside: Aside) -> None:
        """Keep what a live run knows of a tile and shard that its runner forgets, under a token that was never used."""
        with self.database.write() as connection:
            row = live.lock_live_run(connection, version, run)
            asides.set_aside(self.database, connection, row, (tile, shard), token, aside)

    def aside(self, version: str, run: str, tile: int, shard: int, token: bytes) -> Aside | None:
        """What `set_aside` kept under a token; None once batch covers all of it."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return asides.find_aside(connection, row.id, (tile, shard), token)

    def forget_asides(self, version: str, run: str, tile: int, shard: int, token: bytes, before: int) -> None:
        """Nothing comes for a tile any more: states that were set aside of tiles `before` (exclusive) are dropped."""
        with self.database.write() as connection:
            row = live.lock_live_run(connection, version, run)
            asides.forget_asides(connection, row.id, (tile, shard), token, before)

    def cleared_ids(self, version: str, run: str, tile: int, shard: int) -> list[pa.RecordBatch]:
        """The ids of each time that a tile and shard was set aside (HASH, CONTENT, GENERATION), until batch has all."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return asides.cleared_ids(connection, row.id, (tile, shard))

    def set_watermark(self, version: str, run: str, watermark: int) -> None:
        """Publish a live run's watermark (microseconds UTC); an earlier one than before changes nothing."""
        with self.database.write() as connection:
            live.set_watermark(connection, live.lock_live_run(connection, version, run), watermark, self._clock())

    # Batch runs

    def start_batch_run(
        self,
        version: str,
        batch_run: str,
        *,
        boundary: int,
        parent: str | None = None,
        file_sets: Sequence[FileSet] = (),
        built_for: str | None = None,
        told: Told = NOTHING_TOLD,
    ) -> BatchRun:
        """Write a batch run down, or go on with one that is being built.

        It adds the journal generations after its parent's boundary up to `boundary` (inclusive), and
        `file_sets` to its parent's. `built_for`: the live run that it will be published with, whose
        straddlers it leaves out. `told`: what its sources say of themselves, beside what the parent was told.
        """
        with self.database.write(durable=True) as connection:
            batch.start_batch_run(
                self.database,
                connection,
                definition=lookups.definition_row(connection, version).id,
                batch_run=batch_run,
                parent=parent,
                boundary=boundary,
                file_sets=file_sets,
                built_for=built_for,
                now=self._clock(),
                told=told,
            )
            return lookups.batch_run_value(connection, lookups.find_batch_run(connection, batch_run))

    def batch_run(self, batch_run: str) -> BatchRun:
        """A batch run. Raises StoreError for an unknown one."""
        with self.database.read() as connection:
            return lookups.batch_run_value(connection, lookups.find_batch_run(connection, batch_run))

    def write_batch(self, compiled: Compiled, batch_run: str, updates: Sequence[BatchUpdateLike]) -> None:
        """Write what a batch run counted, merged with its ancestors' states.

        All states of a tile and shard are in one update, and so are all ids with their tallies, in the same or another.
        """
        with self.database.read() as connection:
            run = batch.building_run(connection, batch_run)
            below = batch.read_below(connection, self.chains, run, updates)
        prepared = prepare(below, compiled.measures, updates)
        with self.database.write() as connection:
            run = batch.lock_batch_run(connection, batch_run)
            if batch.cleared_here(connection, run, updates) != below.cleared:
                below = batch.read_below(connection, self.chains, run, updates)
                prepared = prepare(below, compiled.measures, updates)
            batch.write_prepared(self.database, connection, prepared)

    def clear_tiles(self, batch_run: str, tiles: Sequence[int]) -> None:
        """Begin tiles anew in a batch run (a repair), before anything of them is written."""
        with self.database.write() as connection:
            row = batch.lock_batch_run(connection, batch_run)
            batch.clear_tiles(self.database, connection, self.chains, row, tiles)

    def finish_batch_run(self, batch_run: str, manifest: BatchManifest) -> BatchRun:
        """Mark a batch run COMPLETE. Raises StoreError if it is so already with another manifest."""
        with self.database.write(durable=True) as connection:
            known = lookups.find_batch_run(connection, batch_run)
            if known.status != "COMPLETE" or BatchManifest.from_data(known.manifest) != manifest:
                row = batch.lock_batch_run(connection, batch_run)
                batch.finish_batch_run(self.database, connection, self.chains, row, manifest)
            return lookups.batch_run_value(connection, lookups.find_batch_run(connection, batch_run))

    def letters_of(self, version: str, batch_run: str) -> dict[str, frozenset[int]]:
        """By position (FILE/NUMBER, LANE/NUMBER) the rows that a batch run found dead."""
        with self.database.read() as connection:
            definition = lookups.definition_row(connection, version).id
            return discarding.letters_of_run(
                connection, definition, lookups.find_batch_run(connection, batch_run).ordinal
            )

    def discard_batch_run(self, batch_run: str) -> None:
        """Undo a batch run that was never published, and what it noted of dead letters; its files count as unread."""
        discarding.discard_batch_run(self.database, batch_run)

    def manifest(self, batch_run: str) -> BatchManifest:
        """The manifest of a batch run. Raises StoreError for one that isn't finished."""
        with self.database.read() as connection:
            row = lookups.find_batch_run(connection, batch_run)
        if row.manifest is None:
            raise StoreError(f"batch run {batch_run!r} is {row.status} and has no manifest yet")
        return BatchManifest.from_data(row.manifest)

    def tiles_of(self, batch_run: str) -> tuple[int, int] | None:
        """The first and the last tile that the run itself computed; None for none."""
        with self.database.read() as connection:
            return lookups.tiles_of_run(connection, lookups.find_batch_run(connection, batch_run).ordinal)

    def counted_ids(self, version: str, batch_run: str, tile: int, shard: int | None = None) -> pa.RecordBatch:
        """What a batch run and its ancestors counted in a tile (and shard): HASH, CONTENT, GENERATION,
        sorted.
        """
        with self.database.read() as connection:
            lookups.definition_row(connection, version)
            row = lookups.find_batch_run(connection, batch_run)
            return _column_batch(event_ids.counted_columns(connection, self.chains, row, tile, shard))

    def left_out_ids(self, batch_run: str, tile: int, shard: int) -> pa.RecordBatch:
        """What a batch run and its ancestors left to live and don't count; GENERATION: the boundary."""
        with self.database.read() as connection:
            row = lookups.find_batch_run(connection, batch_run)
            return _id_batch(event_ids.left_out_ids(connection, self.chains, row, tile, shard))

    def straddling_ids(self, version: str, run: str, tile: int, shard: int | None, boundary: int) -> pa.RecordBatch:
        """What a live run counted after `boundary` although a copy lies before it; GENERATION: counted in."""
        with self.database.read() as connection:
            row = lookups.find_live_run(connection, version, run)
            return _id_batch(event_ids.straddling_ids(connection, row.id, tile, shard, boundary))


def _id_batch(ids: Ids) -> pa.RecordBatch:
    return _column_batch([np.ascontiguousarray(ids[name]) for name in ("hash", "content", "generation")])


def _column_batch(columns: Sequence[np.ndarray[Any, Any]]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(column) for column in columns], names=[HASH, CONTENT, GENERATION])
