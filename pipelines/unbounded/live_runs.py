"""Registers live runs: their base, and the segments that they must have before they are served."""

from __future__ import annotations

from collections.abc import Sequence

from tandem.journal.index import JournalIndex, SegmentRef
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_name
from tandem.pipelines.unbounded.screen import note_idle_watermark
from tandem.runners.options.places import Home
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sinks.views import serve_when_caught_up
from tandem.views.rows import BatchStatus, LaneExtent
from tandem.views.store import ViewStore

__all__ = ["base_of", "end_live_runs", "extents_of", "start_live_run"]


def base_of(store: ViewStore, definition: Definition, chosen: str | None) -> tuple[int, str | None]:
    """(boundary, batch run) of a run's base: the chosen batch run if it is of this version, else the served one.

    (0, None) for none. Raises UserError for an unfinished batch run, StoreError for an unknown one.
    """
    if chosen is not None:
        batch_run = store.batch.get(chosen)
        if batch_run.status is not BatchStatus.COMPLETE:
            raise UserError(f"--base {chosen}: it is {batch_run.status}; a run can stand on a COMPLETE batch run only")
        if batch_run.version == definition.version:
            return batch_run.boundary, chosen
    served = store.publishing.served(definition.name)
    if served is None or served.version != definition.version:
        return 0, None
    return served.boundary, served.batch_run


def start_live_run(
    store: ViewStore,
    blobs: BlobStore,
    home: Home,
    manifest: RunManifest,
    definition: Definition,
    base: str | None = None,
) -> LiveRunRef:
    """Register a run of the journal for a definition, standing on the batch run `base` or the served one."""
    boundary, batch_run = base_of(store, definition, base)
    index = JournalIndex(blobs)
    index.refresh()
    live_run = store.live.start(
        definition.version,
        manifest.id,
        journal=home.journal,
        base_batch_run=batch_run,
        takeover=extents_of([ref for ref in index.segments(boundary) if ref.run != manifest.id]),
    )
    serve_when_caught_up(store, definition, manifest.id)
    return LiveRunRef(home.store, manifest.id, live_run.base_batch_run, manifest.shards)


def end_live_runs(store: ViewStore, home: Home, definitions: Sequence[Definition], runs: Sequence[LiveRunRef]) -> None:
    """The last steps of these runs, of a writer or a follower, after their job has ended."""
    for definition, run in zip(definitions, runs, strict=True):
        store.live.end_attempts(definition.version, run.run)
        serve_when_caught_up(store, definition, run.run)
        note_idle_watermark(home, definition, run.run)


def extents_of(refs: Sequence[SegmentRef]) -> tuple[LaneExtent, ...]:
    """Unbroken ranges of the lanes' segments of messages; openings and seals between them aren't emitted."""
    extents: list[LaneExtent] = []
    for ref in sorted(refs, key=lambda ref: (ref.run, ref.lane, ref.number)):
        lane = lane_name(ref.run, ref.lane)
        if extents and extents[-1].lane == lane and extents[-1].last == ref.number - 1:
            extents[-1] = LaneExtent(lane, ref.number, extents[-1].first)
        else:
            extents.append(LaneExtent(lane, ref.number, ref.number))
    return tuple(extents)
