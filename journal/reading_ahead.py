"""Reads the headers of a lane in order, ahead of their use where each request to the store is slow."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_folder, parse_segment_name, segment_path
from tandem.journal.storage.object_blobs import ObjectBlobs
from tandem.journal.storage.segments import SegmentHeader, load_header

__all__ = ["HeadersAhead"]

_FEW: Final = 4
"""Headers in succession that are read one by one: for frequent readers more are rare, and a listing is expensive."""
_AT_ONCE: Final = 16


class HeadersAhead:
    """The headers of one lane, for one scan. In a bucket many of them are requested in parallel."""

    def __init__(self, blobs: BlobStore, run: str, lane: int) -> None:
        self._blobs, self._run, self._lane = blobs, run, lane
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[SegmentHeader]] = {}
        self._alone = 0

    def header(self, number: int) -> SegmentHeader:
        """See `load_header`."""
        if number in self._ahead:
            return self._ahead.pop(number).result()
        if self._alone == _FEW and self._pool is None and isinstance(self._blobs, ObjectBlobs):
            return self._started(number)
        self._alone += 1
        return load_header(self._blobs, segment_path(self._run, self._lane, number))

    def close(self) -> None:
        """Stop reading."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _started(self, number: int) -> SegmentHeader:
        names = map(parse_segment_name, self._blobs.list(lane_folder(self._run, self._lane)))
        numbers = sorted({number, *(found for found in names if found is not None and found > number)})
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="segment-headers")
        paths = {each: segment_path(self._run, self._lane, each) for each in numbers}
        self._ahead = {each: self._pool.submit(load_header, self._blobs, path) for each, path in paths.items()}
        return self._ahead.pop(number).result()
