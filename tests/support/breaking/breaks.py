"""The product, broken on purpose in one place each. `patch` is undone by the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tandem.journal.lanes.reader
import tandem.journal.lanes.writer
import tandem.journal.runs.completeness
import tandem.pipelines.unbounded.live_runs
import tandem.transforms.batch.aggregate
import tandem.transforms.fold.cache
import tandem.transforms.fold.fold
import tandem.transforms.fold.state
import tandem.transforms.routing.late_ids
import tandem.transforms.routing.seen_ids
import tandem.transforms.routing.tiles
import tandem.views.answers.certifying
import tandem.views.answers.reading.rows
import tandem.views.batch.runs
import tandem.views.storage.checksums
from breaking.result_breaks import RESULT_BREAKS
from tandem.journal.lanes.writer import LaneWriter
from tandem.schemas.certificate import judge
from tandem.schemas.columns import CONTENT
from tandem.schemas.measures.encoding.totals import TotalMeasure
from tandem.transforms.batch.many_admitted import AdmittedTiles, admit_tiles
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.routing.seen_ids import Ids, SeenIds, Verdict, merge_sorted

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]


def merge_loses_a_state(patch: Patch) -> None:
    """Sum.merge leaves the last of several states out."""
    intact = TotalMeasure.merge

    def merge(self: TotalMeasure, states: pa.Array, groups: Any, size: int) -> pa.Array:
        kept = max(len(groups) - 1, 0) if len(groups) > size else len(groups)
        return intact(self, states[:kept], groups[:kept], size)

    patch.setattr(TotalMeasure, "merge", merge)


def nonces_are_ignored(patch: Patch) -> None:
    """A writer takes whatever lies at its next number for its own."""

    def own(self: LaneWriter, found: Any) -> Any:
        if found is not None:
            self._passed(found.header)
        return found

    patch.setattr(LaneWriter, "_own", own)


def acknowledges_before_it_writes(patch: Patch) -> None:
    """The reader acknowledges what it pulled, then writes it."""
    intact = tandem.journal.lanes.reader.LaneReader._write

    def write(self: Any, writer: Any, batch: Any) -> Any:
        self._broker.acknowledge(batch.ack_ids)
        return intact(self, writer, batch)

    patch.setattr(tandem.journal.lanes.reader.LaneReader, "_write", write)


def nothing_is_late(patch: Patch) -> None:
    """Live takes everything in."""
    patch.setattr(tandem.transforms.routing.tiles, "late_rows", lambda tiles, *rule: np.zeros(len(tiles), bool))


def the_border_of_lateness_is_off_by_one(patch: Patch) -> None:
    """An event at the border itself is taken in."""

    def late_rows(tiles: Any, size: int, lateness: int, watermark: int | None) -> Any:
        return tiles + size + lateness < watermark if watermark is not None else np.zeros(len(tiles), bool)

    patch.setattr(tandem.transforms.routing.tiles, "late_rows", late_rows)


def every_copy_counts(patch: Patch) -> None:
    """De-duplication is off."""

    def add(self: SeenIds, batch: pa.RecordBatch) -> Verdict:
        none = np.zeros(batch.num_rows, bool)
        return Verdict(~none, none, merge_sorted([]), np.zeros(0, np.int64), Ids.of(batch))

    patch.setattr(SeenIds, "add", add)
    patch.setattr(tandem.transforms.batch.aggregate, "is_plain", lambda events: False)


def copies_within_a_batch_run_count(patch: Patch) -> None:
    """Tiles that are judged together take every event for another."""
    intact = admit_tiles

    def apart(events: pa.RecordBatch) -> pa.RecordBatch:
        index = events.schema.get_field_index(CONTENT)
        return events.set_column(index, CONTENT, pa.array(np.arange(events.num_rows, dtype=np.uint64)))

    def admitted(events: pa.RecordBatch, *of: Any, **more: Any) -> AdmittedTiles:
        return intact(apart(events), *of, **more)

    patch.setattr(tandem.transforms.batch.aggregate, "admit_tiles", admitted)


def straddlers_are_not_named(patch: Patch) -> None:
    """Live doesn't say which events it counted in a later generation than that of another copy."""
    intact = tandem.transforms.fold.state.TileState.admit
    patch.setattr(
        tandem.transforms.fold.state.TileState,
        "admit",
        lambda self, parts: replace(intact(self, parts), cross_duplicates=()),
    )


def late_ids_are_forgotten(patch: Patch) -> None:
    """Live doesn't remember the ids of events that came too late."""
    patch.setattr(tandem.transforms.routing.late_ids.LateIds, "load", lambda self, late: None)


def the_base_is_unknown(patch: Patch) -> None:
    """A live run doesn't load what the batch run that it stands on counted."""
    empty = tandem.transforms.routing.seen_ids.ids_batch(merge_sorted([]))
    patch.setattr(tandem.views.batch.runs.BatchRuns, "counted_ids", lambda *place: empty)


def any_cached_state_will_do(patch: Patch) -> None:
    """The fold trusts its process's cache whatever the runner's state says."""

    def take(self: Any, key: Any, token: bytes | None) -> Any:
        held = self.states.pop(key, None)
        return held[1] if held is not None else None

    patch.setattr(tandem.transforms.fold.cache.TileCache, "take", take)


def tiles_are_cleared_too_early(patch: Patch) -> None:
    """A tile is cleared at its end, while what is in time may still come."""
    patch.setattr(tandem.transforms.fold.fold, "cleared_at", lambda definition, tile, run: tile + definition.tile)
    patch.setattr(
        tandem.transforms.fold.fold._Fold,
        "evict",
        lambda self, key, entries, ids, token, clear: self.forget(key, entries, ids, token),
    )


def restored_states_lose_an_entry(patch: Patch) -> None:
    """Of a tile's stored entries one is overlooked."""
    state = tandem.transforms.fold.state.TileState
    intact = state.restore
    patch.setattr(state, "restore", lambda self, entries, parts=(): intact(self, entries[1:], parts))


def restored_states_lose_a_part(patch: Patch) -> None:
    """Of the parts of a tile's ids one is overlooked."""
    state = tandem.transforms.fold.state.TileState
    intact = state.restore
    patch.setattr(state, "restore", lambda self, entries, parts=(): intact(self, entries, list(parts)[1:]))


def late_events_are_no_reason(patch: Patch) -> None:
    """Certificates overlook the late events that wait for batch."""
    intact = judge
    patch.setattr(tandem.views.answers.certifying, "judge", lambda facts: intact(replace(facts, pending_late=0)))


def generations_begin_by_a_readers_start(patch: Patch) -> None:
    """A reader takes the generation that it finds for one that has just begun."""
    patch.setattr(tandem.journal.lanes.reader, "generation_age", lambda *arguments: 0)


def checksums_are_not_checked(patch: Patch) -> None:
    """Every checksum is that of nothing, when it is written and when it is read."""
    patch.setattr(tandem.views.storage.checksums, "crc32", lambda data, start=0: 0)
    patch.setattr(tandem.views.storage.checksums, "_seed", lambda table: 0)  # what it remembers outlives the patch


def hidden_rows_are_not_missed(patch: Patch) -> None:
    """Questions over all keys take what they find of live for all that there is."""
    patch.setattr(tandem.views.answers.reading.rows, "all_of_live", lambda connection, rows, *place: rows)


def the_fastest_lane_tells(patch: Patch) -> None:
    """Batch takes the journal to be complete as far as the lane that is ahead of all others."""

    def highest(parts: list[Any], sources: list[str]) -> dict[str, int | None]:
        known = {source: [part[source] for part in parts if part.get(source) is not None] for source in sources}
        return {source: max(values, default=None) for source, values in known.items()}

    patch.setattr(tandem.journal.runs.completeness, "lowest", highest)


def conflicts_are_judged_by_shard(patch: Patch) -> None:
    """An id's hash doesn't begin with its key's bucket: of equal ids those are held against each other that meet."""
    patch.setattr(tandem.transforms.routing.tiles, "in_buckets", lambda hashes, keys: hashes)


def resumed_runs_lose_their_shards(patch: Patch) -> None:
    """A run goes on with as many shards as flags say, whatever its manifest has."""
    patch.setattr(tandem.pipelines.unbounded.live_runs, "LiveRunRef", lambda *fields: LiveRunRef(*fields[:3]))


def files_tell_nothing(patch: Patch) -> None:
    """Windows of files are taken to be over, wherever they end."""
    intact = judge
    patch.setattr(tandem.views.answers.certifying, "judge", lambda facts: intact(replace(facts, complete_to=facts.end)))


BREAKS: dict[str, Break] = {
    made.__name__: made
    for made in (
        merge_loses_a_state,
        nonces_are_ignored,
        acknowledges_before_it_writes,
        nothing_is_late,
        the_border_of_lateness_is_off_by_one,
        every_copy_counts,
        copies_within_a_batch_run_count,
        straddlers_are_not_named,
        late_ids_are_forgotten,
        the_base_is_unknown,
        any_cached_state_will_do,
        tiles_are_cleared_too_early,
        restored_states_lose_an_entry,
        restored_states_lose_a_part,
        late_events_are_no_reason,
        generations_begin_by_a_readers_start,
        checksums_are_not_checked,
        hidden_rows_are_not_missed,
        the_fastest_lane_tells,
        files_tell_nothing,
        conflicts_are_judged_by_shard,
        resumed_runs_lose_their_shards,
    )
} | RESULT_BREAKS
