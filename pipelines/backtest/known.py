"""A journal in the order in which it became known, and of each event in which windows it was too late.

Messages became known by (generation, written, lane, number); of segments of before, which don't say when they were
written, the newest publish time stands for it. A window is judged when the watermark, the least of all lanes, has
passed its end: what comes after that wasn't known then. Of copies the one that was known first counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.messages import decode_messages
from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment
from tandem.journal.storage.opening import open_blobs
from tandem.journal.storage.segments import Segment
from tandem.pipelines.backtest.history import Amount, Fresh, added
from tandem.schemas.columns import GENERATION, KEY, TIME
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.messages import Decoded
from tandem.schemas.states import aggregate, empty_block, merge_blocks
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, Window

__all__ = ["Cut", "KnownHistory", "known_history"]

Integers = npt.NDArray[np.int64]

_UNKNOWN = -(2**62)
_MERGE_AT = 32


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in the journal: the watermark from a segment on."""

    watermark: int
    generation: int
    written: int
    """Wall clock, microseconds UTC."""


@dataclass
class KnownHistory:
    """All of a journal, for windows of one declaration."""

    window: AnyWindow
    unit: int
    known: list[tuple[int, pa.RecordBatch]] = field(default_factory=list)
    """By generation states of each unit, and of what was late in so many windows: see `split`."""
    cuts: list[Cut] = field(default_factory=list)
    """Where the watermark rose, ascending."""
    amount: Amount = field(default_factory=Amount)
    late: int = 0
    """Events that came after a window of theirs was judged."""
    without_time: int = 0
    """Segments that don't say when they were written."""
    segments: int = 0

    @property
    def overlap(self) -> int:
        """How many windows an event lies in, at most."""
        return -(-self.window.size // self.window.every) if isinstance(self.window, Window) else 1

    def cut_of(self, end: int) -> Cut | None:
        """Where a window that ends then was judged; None where the watermark never passed it."""
        place = int(np.searchsorted(np.array([cut.watermark for cut in self.cuts], np.int64), end))
        return self.cuts[place] if place < len(self.cuts) else None

    def split(self, block: pa.RecordBatch) -> tuple[pa.RecordBatch, Integers]:
        """States with their starts as generation, in the order of time; and in how many windows they are late."""
        coded = block.column(GENERATION).to_numpy()
        places = self.overlap + 1
        place = block.schema.get_field_index(GENERATION)
        starts = pa.array(coded // places * self.unit)
        return block.set_column(place, block.schema.field(GENERATION), starts), coded % places


def known_history(
    compiled: CompiledDefinition, journal: str, window: AnyWindow, unit: int, before: Iterable[Decoded] = ()
) -> KnownHistory:
    """What a journal holds, in the order in which it became known; `before`: what batch knew beforehand, of files.

    Raises JournalError, SegmentError.
    """
    found, source = _Reading(compiled, KnownHistory(window, unit)), compiled.definition.source
    for decoded in before:
        found.take(decoded, 0)
    lanes: dict[tuple[str, int], int | None] = {}
    cuts = found.known.cuts
    for segment, written in _in_order(found.known, journal):
        watermark = _watermark(lanes, segment, source.version)
        if watermark is not None and (not cuts or watermark > cuts[-1].watermark):
            cuts.append(Cut(watermark, segment.header.generation, written))
        found.take(decode_messages(source, compiled.source_columns, segment.messages), segment.header.generation)
    return found.whole()


@dataclass
class _Reading:
    """Takes in messages, one batch after the other."""

    compiled: CompiledDefinition
    known: KnownHistory
    fresh: Fresh = field(default_factory=Fresh)
    held: dict[int, list[pa.RecordBatch]] = field(default_factory=dict)
    """By generation."""

    def take(self, decoded: Decoded, generation: int) -> None:
        """Add what became known now; what is of generation 0 was known before all windows."""
        known, prepared = self.known, self.compiled.prepare(decoded.events)
        mask = self.fresh.of(self.compiled, decoded, prepared)
        times = prepared.events.column(TIME).to_numpy()
        dead = len(decoded.dead) + len(prepared.failed)
        known.amount = added(known.amount, decoded.received, prepared.filtered, dead, times, mask)
        if not mask.any():
            return
        events = prepared.events.filter(pa.array(mask))
        reached = known.cuts[-1].watermark if known.cuts and generation else _UNKNOWN
        late = _late(known, times[mask] // known.unit * known.unit, reached)
        known.late += int(np.count_nonzero(late))
        parts = self.held.setdefault(generation, [])
        parts.append(_block(self.compiled, events, known.unit, late, known.overlap + 1))
        if len(parts) > _MERGE_AT:
            parts[:] = [merge_blocks(self.compiled.measures, parts)]

    def whole(self) -> KnownHistory:
        """All of it."""
        measures, held = self.compiled.measures, self.held
        self.known.known = [(number, merge_blocks(measures, held[number])) for number in sorted(held)]
        self.known.known = self.known.known or [(0, empty_block(measures))]
        return self.known


def _in_order(found: KnownHistory, journal: str) -> Iterator[tuple[Segment, int]]:
    """Segments, and when they were written. Of those without a time the messages say it, so they are read twice."""
    blobs = open_blobs(journal)
    index = JournalIndex(blobs)
    index.refresh()
    placed = []
    for ref in index.segments():
        segment = read_segment(blobs, ref)
        written = segment.header.written
        if written is None:
            written = int(pc.max(segment.messages.column("publish_time")).as_py() or 0)
            found.without_time += 1
        placed.append((ref.generation, written, ref.lane, ref.number, ref.run, ref))
    found.segments = len(placed)
    for _, written, *_, ref in sorted(placed):
        yield read_segment(blobs, ref), written


def _watermark(lanes: dict[tuple[str, int], int | None], segment: Segment, source: str) -> int | None:
    """The least of the lanes that have written of the newest run; None while one of them knows none."""
    header = segment.header
    stored: Mapping[str, int | None] = header.watermarks
    for run, lane in [place for place in lanes if place[0] != header.run]:
        del lanes[run, lane]
    lanes[header.run, header.lane] = stored.get(source)
    values = list(lanes.values())
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def _late(found: KnownHistory, units: Integers, reached: int) -> Integers:
    """In how many of its windows each unit is too late, once the watermark has come so far."""
    window = found.window
    if isinstance(window, Window):
        last = (units + window.size) // window.every * window.every  # the end of the last window that it lies in
        before = -((reached - last) // window.every)  # the first of those that end by then, counted back from it
        return np.asarray(found.overlap - np.clip(before, 0, found.overlap), np.int64)
    assert isinstance(window, CalendarWindow)
    ends = {unit: window.periods.span_about(unit)[1] for unit in np.unique(units).tolist()}
    return np.array([ends[unit] <= reached for unit in units.tolist()], np.int64)


def _block(
    compiled: CompiledDefinition, events: pa.RecordBatch, unit: int, late: Integers, places: int
) -> pa.RecordBatch:
    coded = events.column(TIME).to_numpy() // unit * places + late
    columns = [name for name in compiled.aggregated_columns if name != KEY]
    return aggregate(compiled.measures, events.select([KEY, *columns]).append_column(GENERATION, pa.array(coded)))
