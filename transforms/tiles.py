"""Beam transforms from decoded batches to updates of tiles, shared by bounded and unbounded pipelines."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from tandem.schemas.buckets import BUCKETS
from tandem.schemas.columns import LATE
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.transforms.elements import DeadLetterBatch, SegmentTally, SourceBatch, TileKey
from tandem.transforms.routing.replay_outcomes import EarlierLetters
from tandem.transforms.routing.tiles import Agreed, route
from tandem.transforms.sinks.retrying import retrying
from tandem.views.storage.opening import open_store

__all__ = ["DEAD", "LATE_COPIES", "TALLIES", "LetterSource", "RouteToTiles", "SpreadRun"]

TALLIES = "tallies"
DEAD = "dead"
LATE_COPIES = "late_copies"


@dataclass(frozen=True, slots=True)
class LetterSource:
    """The dead letters of a batch run with its ancestors, and of a live run that stands on it, in the view store."""

    store: str
    """URL of the view store."""
    boundary: int
    """The batch run's boundary, 0 for none."""
    batch_run: str | None = None
    live_run: str | None = None

    def earlier(self, version: str) -> EarlierLetters:
        """What these runs recorded for a definition version."""

        def noted(position: str, row: int) -> bool:
            store = open_store(self.store)
            return retrying(lambda: store.dead_letters.is_noted(version, position, row, self.batch_run, self.live_run))

        return EarlierLetters(self.boundary, noted)


@dataclass(frozen=True, slots=True)
class SpreadRun:
    """The run whose workers agree in the view store on the spreading of shards."""

    store: str
    """URL of the view store."""
    run: str
    """A live run or a batch run."""

    def agreed(self, version: str) -> Agreed:
        """The agreed loads, read once a process and run."""

        def loads(buckets: npt.NDArray[np.uint8]) -> tuple[int, ...] | None:
            place = (self.store, version, self.run)
            if place not in _AGREED:
                seen = np.bincount(buckets, minlength=BUCKETS).tolist()
                _AGREED[place] = retrying(lambda: open_store(self.store).bucket_loads.agreed(version, self.run, seen))
            return _AGREED[place]

        return loads


_AGREED: Final[dict[tuple[str, str, str], tuple[int, ...] | None]] = {}


@dataclass
class RouteToTiles(beam.PTransform):  # type: ignore[misc]
    """Events by tile and shard; each part's timestamp is its tile's start.

    Outputs: main (TileKey, RecordBatch); LATE_COPIES the same for late events, where the definition deduplicates;
    TALLIES SegmentTally, one a batch; DEAD DeadLetterBatch, where there are any. Batches of other source sections than
    the definition's are ignored.
    """

    definition: Definition
    shards: int = 1
    after: int = 0
    """The last journal generation in the batch view; generations up to it are skipped."""

    letters: LetterSource | None = None
    """The store's record of which originals of replays are dead letters; required unless the definition
    deduplicates."""

    run: SpreadRun | None = None
    """The run that spreads shards by load; None: workers get equally many shards."""

    together: bool = False
    """Whether a batch's tiles stay together, see `tandem.transforms.routing.tiles.route`; only for bounded input."""

    def expand(self, batches: beam.PCollection[SourceBatch]) -> Any:
        part = tuple[TileKey, pa.RecordBatch]
        routing = beam.ParDo(
            _Route(self.definition, self.shards, self.after, self.letters, self.run, self.together)
        ).with_output_types(part, late_copies=part, tallies=SegmentTally, dead=DeadLetterBatch)
        return batches | "Route" >> routing.with_outputs(LATE_COPIES, TALLIES, DEAD, main="parts")


class _Route(beam.DoFn):  # type: ignore[misc]
    def __init__(
        self,
        definition: Definition,
        shards: int,
        after: int,
        letters: LetterSource | None = None,
        run: SpreadRun | None = None,
        together: bool = False,
    ) -> None:
        self._definition = definition
        self._run = run
        self._together = together
        self._letters = letters
        self._shards = shards
        self._after = after
        self._compiled: CompiledDefinition | None = None

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def process(self, batch: SourceBatch) -> Iterator[tuple[TileKey, pa.RecordBatch]]:
        assert self._compiled is not None
        if batch.source != self._definition.source.version or 0 < batch.generation <= self._after:
            return
        earlier = self._letters.earlier(self._definition.version) if self._letters is not None else None
        agreed = self._run.agreed(self._definition.version) if self._run is not None else None
        routed = route(self._compiled, self._shards, batch, earlier, agreed, together=self._together)
        for key, part in routed.parts:
            # A tile is late as a whole. Its window may be closed for good, and the runner would drop what comes for it.
            if part.column(LATE)[0].as_py():
                yield beam.pvalue.TaggedOutput(LATE_COPIES, (key, part))
            else:
                yield TimestampedValue((key, part), Timestamp(micros=key[0]))
        yield beam.pvalue.TaggedOutput(TALLIES, routed.tally)
        if routed.dead.letters or routed.dead.replays:
            yield beam.pvalue.TaggedOutput(DEAD, routed.dead)
