"""An index of the journal's immutable facts: sealed generations, lanes that delay a seal, and their segments."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from tandem.journal.lanes.watermarks import Watermarks
from tandem.journal.reading_ahead import HeadersAhead
from tandem.journal.runs.generations import current_generation
from tandem.journal.runs.manifests import RunManifest, list_runs
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import lane_folder, lane_name, parse_segment_name, segment_path
from tandem.journal.storage.segments import Kind, SegmentHeader
from tandem.schemas.errors import JournalError

__all__ = ["GAP_REMEDY", "JournalIndex", "LaneEnd", "LaneGap", "LaneHold", "SealStatus", "SegmentRef", "find_gap"]


GAP_REMEDY: Final = (
    "put it back from a copy of the journal, or, if there is none, go past it with "
    "`tandem backfill --accept-missing-segments`: answers are PARTIAL from then on"
)


@dataclass(frozen=True, slots=True, order=True)
class SegmentRef:
    """An exact reference to a segment of messages: `tandem.journal.reading.read_segment` compares it with the file."""

    run: str
    lane: int
    number: int
    generation: int
    count: int
    """Number of messages."""
    digest: str

    @property
    def path(self) -> str:
        """Its path in the journal."""
        return segment_path(self.run, self.lane, self.number)


@dataclass(frozen=True, slots=True, order=True)
class LaneGap:
    """Missing segments in the middle of a lane: later ones exist."""

    run: str
    lane: int
    first: int
    last: int
    generation: int
    """The lowest generation that their messages can be of."""

    def __str__(self) -> str:
        numbers = f"segment {self.first} is" if self.first == self.last else f"segments {self.first} to {self.last} are"
        return f"{numbers} missing in lane {lane_name(self.run, self.lane)}, segment {self.last + 1} is there"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the missing segments, LANE/NUMBER."""
        lane = lane_name(self.run, self.lane)
        return tuple(f"segment {number} of lane {lane}" for number in range(self.first, self.last + 1))


@dataclass(frozen=True, slots=True)
class LaneHold:
    """A lane that delays the seal of a generation."""

    run: str
    lane: int
    segments: int
    """Number of its segments; 0: no reader has opened it yet."""
    open_generation: int
    """The lowest generation that it may still write to."""
    gap: LaneGap | None = None
    """The gap after these segments, if any."""

    def __str__(self) -> str:
        if self.gap is not None:
            return f"{self.gap}; {GAP_REMEDY}"
        state = f"{self.segments} segments" if self.segments else "never opened"
        return f"lane {lane_name(self.run, self.lane)} ({state}, open from generation {self.open_generation})"


@dataclass(frozen=True, slots=True)
class SealStatus:
    """Whether a generation is sealed; if it isn't, the lanes that delay it (none: it hasn't begun)."""

    generation: int
    sealed: bool
    holders: tuple[LaneHold, ...] = ()


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """The state of a lane when a generation was sealed."""

    run: str
    lane: int
    finished: bool
    """Whether the lane was sealed for ever: it can't hold later generations."""
    watermarks: Watermarks
    """The last stored ones; empty for a lane without segments."""


@dataclass(slots=True)
class _Lane:
    """The facts read from a lane so far. Segments never change, so they stay true."""

    open_generation: int
    number: int = 0
    final: bool = False
    segments: list[SegmentRef] = field(default_factory=list)
    gaps: list[LaneGap] = field(default_factory=list)
    """Skipped gaps, and at the end one that can't be skipped."""
    watermarks: dict[int, Watermarks] = field(default_factory=dict)
    """By generation, ascending, the watermarks that its last segment stored."""

    def enter(self, header: SegmentHeader) -> None:
        if header.generation < self.open_generation:
            raise JournalError(
                f"{header.path}: generation {header.generation}, but its lane had closed all before "
                f"{self.open_generation}"
            )
        self.open_generation = header.open_generation
        self.number = header.number
        self.final = header.final is not None
        self.watermarks[header.generation] = header.watermarks
        if header.kind is Kind.DATA and header.count:
            self.segments.append(
                SegmentRef(header.run, header.lane, header.number, header.generation, header.count, header.digest)
            )


class JournalIndex:
    """Caches every immutable fact of a journal; `refresh` reads only the headers of new segments.

    A generation is sealed when no lane of any run can write to it any more. Markers are read first, lanes next, runs
    last, repeatedly until no run is new: a run that isn't seen here began after all these seals, and its lanes start at
    the marker of that time, above every generation that is reported sealed.
    """

    def __init__(self, blobs: BlobStore, *, past_gaps: bool = False) -> None:
        """`past_gaps`: skip missing segments; else segments after them stay invisible."""
        self._blobs, self._past_gaps = blobs, past_gaps
        self._runs: dict[int, RunManifest] = {}
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._current = 0
        self._sealed = 0

    def refresh(self) -> None:
        """Read new markers, lanes and runs."""
        current = current_generation(self._blobs)
        while True:
            for (run, lane), known in self._lanes.items():
                self._scan(run, lane, known)
            runs = list_runs(self._blobs, self._runs)
            if len(runs) == len(self._runs):
                break
            for ordinal in runs.keys() - self._runs.keys():
                manifest = runs[ordinal]
                for lane in range(manifest.lanes):
                    self._lanes[manifest.id, lane] = _Lane(manifest.first_generation)
            self._runs = runs
        self._current = current
        open_from = [lane.open_generation for lane in self._lanes.values() if not lane.final]
        # a run that was just started may lower this for a moment, until its lanes have opened at the latest marker
        self._sealed = max(self._sealed, min([current, *(generation - 1 for generation in open_from)]))

    @property
    def runs(self) -> tuple[RunManifest, ...]:
        """Every run, by ordinal."""
        return tuple(self._runs[ordinal] for ordinal in sorted(self._runs))

    @property
    def current(self) -> int:
        """The highest generation that had begun; 0: none."""
        return self._current

    @property
    def sealed(self) -> int:
        """Every generation up to this one is sealed; 0: none."""
        return self._sealed

    def seal_status(self, generation: int) -> SealStatus:
        """Whether the generation is sealed, and the lanes that delay it; callers that repeat the call can measure for
        how long.
        """
        if generation <= self._sealed:
            return SealStatus(generation, sealed=True)
        holders = tuple(
            LaneHold(run, lane, known.number, known.open_generation, self._held_by(known))
            for (run, lane), known in sorted(self._lanes.items())
            if not known.final and known.open_generation <= generation
        )
        return SealStatus(generation, sealed=False, holders=holders)

    def lane_ends(self, generation: int) -> list[LaneEnd]:
        """The states of the lanes of all runs that could write to a generation, or to an earlier one, when it was
        sealed.
        """
        first = {manifest.id: manifest.first_generation for manifest in self._runs.values()}
        ends = []
        for (run, lane), known in sorted(self._lanes.items()):
            if first[run] <= generation:
                upto = [written for written in known.watermarks if written <= generation]
                finished = known.final and len(upto) == len(known.watermarks)
                ends.append(LaneEnd(run, lane, finished, known.watermarks[upto[-1]] if upto else {}))
        return ends

    @property
    def gaps(self) -> tuple[LaneGap, ...]:
        """The gaps in the lanes, including skipped ones."""
        return tuple(gap for _, known in sorted(self._lanes.items()) for gap in known.gaps)

    def _held_by(self, known: _Lane) -> LaneGap | None:
        return known.gaps[-1] if known.gaps and not self._past_gaps else None

    def segments(self, after: int = 0, upto: int | None = None) -> list[SegmentRef]:
        """Segments of messages of generations after `after`, up to `upto` inclusive, by run, lane and number."""
        return sorted(
            ref
            for lane in self._lanes.values()
            for ref in lane.segments
            if ref.generation > after and (upto is None or ref.generation <= upto)
        )

    def _scan(self, run: str, lane: int, known: _Lane) -> None:
        with closing(HeadersAhead(self._blobs, run, lane)) as headers:
            self._scan_by(headers, run, lane, known)

    def _scan_by(self, headers: HeadersAhead, run: str, lane: int, known: _Lane) -> None:
        while not known.final:
            try:
                header = headers.header(known.number + 1)
            except BlobMissingError:
                gap = find_gap(self._blobs, run, lane, known.number, known.open_generation)
                if gap is None or not self._past_gaps:
                    known.gaps = [gap] if gap is not None else []
                    return
                known.gaps.append(gap)
                known.number = gap.last
                continue
            known.enter(header)


def find_gap(blobs: BlobStore, run: str, lane: int, number: int, generation: int = 0) -> LaneGap | None:
    """The gap right after segment `number` of a lane, where later segments exist; None without one.

    A lane is written without gaps, so missing segments were removed. `generation`: the lowest that the lane may write
    to.
    """
    names = map(parse_segment_name, blobs.list(lane_folder(run, lane)))
    later = [found for found in names if found is not None and found > number]
    # Its writer may have appended since the search.
    if not later or min(later) == number + 1 or blobs.exists(segment_path(run, lane, number + 1)):
        return None
    return LaneGap(run, lane, number + 1, min(later) - 1, generation)
