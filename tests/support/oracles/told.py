"""What a journal's lanes have told of their completeness, reckoned from their segments alone: an oracle."""

from __future__ import annotations

import json
from collections import defaultdict

from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import SegmentHeader, load_segment

__all__ = ["check_told", "told_until"]


def told_until(blobs: MemoryBlobs, boundary: int) -> int | None:
    """The least watermark that the lanes had stored by the end of a generation; None where a lane had none.

    Lanes that an earlier run had closed for ever by then tell nothing. Journals of one source.
    """
    lanes: dict[tuple[str, int], list[SegmentHeader]] = defaultdict(list)
    for path in sorted(blobs._blobs):
        if path.startswith("lanes/"):
            header = load_segment(blobs, path).header
            lanes[header.run, header.lane].append(header)
    manifests = [
        json.loads(data) for path, data in blobs._blobs.items() if path.startswith("runs/") and "id" in json.loads(data)
    ]
    begun = [run for run in manifests if run["first_generation"] <= boundary]
    newest = max((run["ordinal"] for run in begun), default=0)
    values: list[int | None] = []
    for run in begun:
        for lane in range(run["lanes"]):
            written = lanes[run["id"], lane]
            before = [header for header in written if header.generation <= boundary]
            closed = bool(written) and written[-1].final is not None and len(before) == len(written)
            if run["ordinal"] == newest or not closed:
                values.append(next(iter(before[-1].watermarks.values()), None) if before else None)
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def check_told(blobs: MemoryBlobs, boundary: int, complete_to: int | None) -> None:
    """Batch up to `boundary` says to be complete no further than what the lanes told by then."""
    told = [told_until(blobs, generation) for generation in range(1, boundary + 1)]
    most = max((value for value in told if value is not None), default=None)
    if complete_to is not None:
        assert most is not None, f"complete to {complete_to}, the lanes told nothing"
        assert complete_to <= most, f"complete to {complete_to}, the lanes told {most}"
