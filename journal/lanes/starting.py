"""The start of a lane's reader: the check of its mark, the earlier lanes that it replays, its first generation."""

from __future__ import annotations

from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.cursor import LaneCursor, Observe, ReplayMerge, number_before
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.watermarks import WatermarkTracker
from tandem.journal.runs.generations import latest_generation
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_name, segment_path
from tandem.journal.storage.segments import load_header
from tandem.schemas.errors import LaunchError

__all__ = ["check_reader", "first_label", "merge_of"]


def check_reader(manifest: RunManifest, lane: int, config: LaneConfig, mark: LaneMark | None) -> None:
    """Raises LaunchError for a lane that the run doesn't have, and for sources or a mark of another run."""
    if not 0 <= lane < manifest.lanes:
        raise LaunchError(f"lane {lane}: run {manifest.id} has lanes 0 to {manifest.lanes - 1}")
    if set(config.sources) != set(manifest.sources):
        raise LaunchError(f"sources {sorted(config.sources)} given, run {manifest.id} has {list(manifest.sources)}")
    if mark is not None and (mark.run, mark.lane) != (manifest.id, lane):
        raise LaunchError(
            f"mark of lane {lane_name(mark.run, mark.lane)} given to lane {lane_name(manifest.id, lane)}; "
            "a runner's checkpoint belongs to the run that made it"
        )


def merge_of(
    blobs: BlobStore, manifest: RunManifest, lane: int, config: LaneConfig, observe: Observe, mark: LaneMark
) -> ReplayMerge | None:
    """Cursors of the earlier lanes assigned to this one, from the mark on; None without any."""
    at = {(position.run, position.lane): position for position in mark.replay}
    earlier = [(run, number) for run, lanes in manifest.predecessors for number in range(lanes)]
    cursors = []
    for run, of in earlier[lane :: manifest.lanes]:
        position = at.get((run, of))
        number = position.number if position else number_before(blobs, run, of, manifest.boundary)
        tracker = WatermarkTracker(config.sources, position.watermarks if position else None)
        cursors.append(LaneCursor(blobs, run, of, number, tracker, observe))
    return ReplayMerge(cursors, sorted(config.sources)) if cursors else None


def first_label(blobs: BlobStore, manifest: RunManifest, lane: int, cursor: LaneCursor) -> int:
    """The generation of a lane's opening.

    An empty lane begins with the current generation: earlier ones may be sealed already.
    """
    if cursor.open_generation is not None:
        return cursor.open_generation
    if cursor.number:
        return load_header(blobs, segment_path(manifest.id, lane, cursor.number)).open_generation
    return latest_generation(blobs, manifest.first_generation)
