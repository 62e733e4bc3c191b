"""Appends to a lane: creates the next number or finds out who did."""

from __future__ import annotations

import logging
from typing import Final

import pyarrow as pa

from tandem.journal.clocks import Clock
from tandem.journal.lanes.watermarks import Watermarks
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.runs.sealing import NO_MESSAGES
from tandem.journal.storage.blobs import BlobStore, create_or_find
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.segments import (
    Codec,
    Kind,
    Segment,
    SegmentHeader,
    decode_segment,
    encode_segment,
    read_header,
)
from tandem.schemas.errors import FencedError
from tandem.schemas.failpoints import Failpoint, reached

__all__ = ["LaneWriter"]

_LOG: Final = logging.getLogger(__name__)


class LaneWriter:
    """One reader's writing side of its lane.

    It has seen every segment of the lane up to `number`, so it can only ever create the next one: a lane has no gaps,
    and the first writer of a number decides its contents for every reader.
    """

    def __init__(
        self,
        blobs: BlobStore,
        manifest: RunManifest,
        lane: int,
        nonce: str,
        clock: Clock,
        *,
        number: int,
        generation: int,
        codec: Codec = "null",
        failpoint: Failpoint = reached,
    ) -> None:
        """`number`, `generation`: of the last segment that is known to exist (0: none), and of later segments."""
        self.number, self.generation = number, generation
        self.nonce = nonce
        self.final = False
        self._blobs, self._manifest, self._lane, self._clock = blobs, manifest, lane, clock
        self._written = (0, 0)
        self._codec: Codec = codec
        self._failpoint = failpoint

    def open(self, watermarks: Watermarks) -> bool:
        """Append the opening segment, which stops every earlier reader of the lane at its next write.

        False when another segment has this number by now: read it first, then open again. Raises FencedError when it is
        another's opening: two are starting at once, and the first wins.
        """
        found = self._create(self._header(Kind.OPENING, watermarks))
        if found is not None and found.header.kind is Kind.OPENING and found.header.nonce != self.nonce:
            raise self._fenced(found.header)
        if found is None:
            self._say("lane opened")
            self._failpoint("after-opening")
        return found is None

    def append(self, messages: pa.RecordBatch, watermarks: Watermarks) -> SegmentHeader | Segment:
        """Append messages; they are durable when this returns their segment's header.

        A whole segment is returned when this number turns out to be an earlier write of this reader, whose outcome was
        unknown: the messages were not written. Raises FencedError for any other segment there; OSError when the outcome
        is unknown (don't acknowledge; the next call finds out).
        """
        header = self._header(Kind.DATA, watermarks)
        data = encode_segment(header, messages, self._codec)
        found = self._own(self._create(header, data))
        if found is not None:
            return found
        self._failpoint("after-segment")
        return read_header(header.path, data)

    def seal(self, generation: int, watermarks: Watermarks) -> Segment | None:
        """Append the seal of every generation up to `generation`; None when done, else as `append`."""
        header = self._header(Kind.SEAL, watermarks, generation=generation)
        found = self._own(self._create(header))
        if found is None:
            self._say("generation sealed", generation)
            self._failpoint("after-seal")
        return found

    def seal_finally(self, watermarks: Watermarks) -> Segment | None:
        """Close the own lane for ever; results as those of `seal`."""
        header = self._header(Kind.SEAL, watermarks, final=self._manifest.id)
        found = self._own(self._create(header))
        if found is None:
            self.final = True
            self._say("lane closed")
            self._failpoint("after-seal")
        return found

    def _say(self, what: str, generation: int | None = None) -> None:
        place = {"run": self._manifest.id, "lane": self._lane, "segment": self.number}
        _LOG.info("%s", what, extra={**place, "generation": self.generation if generation is None else generation})

    def _header(
        self, kind: Kind, watermarks: Watermarks, generation: int | None = None, final: str | None = None
    ) -> SegmentHeader:
        return SegmentHeader(
            run=self._manifest.id,
            lane=self._lane,
            number=self.number + 1,
            generation=self.generation if generation is None else generation,
            nonce=self.nonce,
            kind=kind,
            watermarks=watermarks,
            subscription=self._manifest.subscription,
            final=final,
            written=self._first_tried(self.number + 1),
        )

    def _first_tried(self, number: int) -> int:
        """The wall clock of the first attempt to write this number: a repeated write has the same bytes."""
        if self._written[0] != number:
            self._written = (number, self._clock.wall())
        return self._written[1]

    def _create(self, header: SegmentHeader, data: bytes | None = None) -> Segment | None:
        found = create_or_find(self._blobs, header.path, data or encode_segment(header, NO_MESSAGES))
        if found is not None:
            return decode_segment(header.path, found)
        self._passed(header)
        return None

    def _own(self, found: Segment | None) -> Segment | None:
        if found is None:
            return None
        header = found.header
        if header.nonce != self.nonce:
            raise self._fenced(header)
        self._passed(header)
        self.final = header.final is not None
        return found

    def _passed(self, header: SegmentHeader) -> None:
        self.number, self.generation = header.number, header.open_generation

    def _fenced(self, header: SegmentHeader) -> FencedError:
        where = f"{lane_name(self._manifest.id, self._lane)}, number {header.number}"
        if header.final:
            return FencedError(
                f"run {self._manifest.id} was replaced: run {header.final} has sealed its lane {where}, and goes on"
            )
        return FencedError(
            f"run {self._manifest.id} was replaced: another process writes its lane {where} "
            f"({header.kind.value} by {header.nonce}, not by {self.nonce})"
        )
