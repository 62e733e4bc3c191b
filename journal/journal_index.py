"""What the journal holds, learned once: sealed generations, who holds a seal up, and their segments."""

from __future__ import annotations

from dataclasses import dataclass, field

from tandem.journal.blobs import BlobMissingError, BlobStore
from tandem.journal.generations import current_generation
from tandem.journal.layout import lane_name, segment_path
from tandem.journal.runs import RunManifest, list_runs
from tandem.journal.segments import Kind, SegmentHeader, load_header
from tandem.schemas.errors import JournalError

__all__ = ["JournalIndex", "LaneHold", "SealStatus", "SegmentRef"]


@dataclass(frozen=True, slots=True, order=True)
class SegmentRef:
    """A segment of messages, exactly: read it with tandem.journal.reading.read_segment, which holds it against
    this."""

    run: str
    lane: int
    number: int
    generation: int
    count: int
    """Messages."""
    digest: str

    @property
    def path(self) -> str:
        """Where in the journal it lies."""
        return segment_path(self.run, self.lane, self.number)


@dataclass(frozen=True, slots=True)
class LaneHold:
    """A lane that keeps a generation from being sealed."""

    run: str
    lane: int
    segments: int
    """How many it has; 0: no reader has opened it yet."""
    open_generation: int
    """The lowest that it may still write to."""

    def __str__(self) -> str:
        state = f"{self.segments} segments" if self.segments else "never opened"
        return f"lane {lane_name(self.run, self.lane)} ({state}, open from generation {self.open_generation})"


@dataclass(frozen=True, slots=True)
class SealStatus:
    """Whether a generation is sealed; if it isn't, the lanes that hold it up (none: it hasn't begun)."""

    generation: int
    sealed: bool
    holders: tuple[LaneHold, ...] = ()


@dataclass(slots=True)
class _Lane:
    """What was read of a lane so far. Segments never change, so it stays true."""

    open_generation: int
    number: int = 0
    final: bool = False
    segments: list[SegmentRef] = field(default_factory=list)

    def enter(self, header: SegmentHeader) -> None:
        if header.generation < self.open_generation:
            raise JournalError(
                f"{header.path}: generation {header.generation}, but its lane had closed all before "
                f"{self.open_generation}"
            )
        self.open_generation = header.open_generation
        self.number = header.number
        self.final = header.final is not None
        if header.kind is Kind.DATA and header.count:
            self.segments.append(
                SegmentRef(header.run, header.lane, header.number, header.generation, header.count, header.digest)
            )


class JournalIndex:
    """Remembers every fact that can't change; `refresh` reads only the headers of new segments.

    A generation is sealed when no lane of any run can write to it any more. Markers are read first, lanes
    next, runs last, again until no run is new: a run that isn't seen here began after all these seals, and
    its lanes start at the marker of then, above every generation that is reported sealed.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._runs: dict[int, RunManifest] = {}
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._current = 0
        self._sealed = 0

    def refresh(self) -> None:
        """Look at the journal again."""
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
        # a run that was just started may show less for a moment, until its lanes have opened at the latest
        # marker
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
        """Whether it is sealed, and the lanes that hold it up; for how long, who asks repeatedly knows."""
        if generation <= self._sealed:
            return SealStatus(generation, sealed=True)
        holders = tuple(
            LaneHold(run, lane, known.number, known.open_generation)
            for (run, lane), known in sorted(self._lanes.items())
            if not known.final and known.open_generation <= generation
        )
        return SealStatus(generation, sealed=False, holders=holders)

    def segments(self, after: int = 0, upto: int | None = None) -> list[SegmentRef]:
        """Segments of messages of generations after `after` and up to and with `upto`, by run, lane and
        number."""
        return sorted(
            ref
            for lane in self._lanes.values()
            for ref in lane.segments
            if ref.generation > after and (upto is None or ref.generation <= upto)
        )

    def _scan(self, run: str, lane: int, known: _Lane) -> None:
        while not known.final:
            try:
                header = load_header(self._blobs, segment_path(run, lane, known.number + 1))
            except BlobMissingError:
                return
            known.enter(header)
