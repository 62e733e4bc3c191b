"""The world of the state machine: runs that remember what they have written, and a store whose caller may die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

from breaking.fuses import Fuse
from breaking.unreliable_blobs import UnreliableBlobs

from state_machine.model import DEFINITION, KEYS, START, TEXT, Model
from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.reader import LaneReader
from tandem.pipelines.bounded.plan import Plan
from tandem.runners.options.places import Home
from tandem.schemas.buckets import bucket_of, shard_from
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.errors import FencedError
from tandem.transforms.elements import TileKey
from tandem.transforms.fold.cache import TILE_CACHE
from tandem.transforms.routing.spreading import place_of
from tandem.verification.world.live_run import Armed, Crash, Live
from tandem.verification.world.world import LAYER_THRESHOLDS, World
from tandem.views.layers.rollups import changes
from tandem.views.lookups import find_live_run
from tandem.views.storage.columns import METADATA
from tandem.views.storage.opening import open_store
from tandem.views.storage.tables import store_version
from tandem.views.store import ViewStore

__all__ = ["FencedReader", "MachineLive", "MachineWorld"]

Place = tuple[str, int]
"""Lane and number of a segment."""
Fired = tuple[Place, int, str]
"""(segment, tile, key) whose events are in the store."""
_PAUSED = 4
"""Replaced readers that are kept, to wake up later."""


class FencedReader(Exception):
    """A lane's present reader was fenced by an older one that opened late; a new one stands in its place."""


class MachineLive(Live):
    """A live run that notes which segments, and which panes, the store has of it."""

    world: MachineWorld  # type: ignore[assignment]  # its blobs are of a narrower kind

    def __init__(self, world: MachineWorld, lanes: int) -> None:
        self.received: set[Place] = set()
        """Segments whose tallies are in the store."""
        self.fired: set[Fired] = set()
        self.waiting: dict[TileKey, list[Place]] = {}
        """The segments of what is pending."""
        self.frozen: dict[TileKey, int] = {}
        """Panes that failed when the store had them: the runner repeats them as they were."""
        self.behind: set[Fired] = set()
        """What the store has and the runner forgot when it went back to a checkpoint."""
        self.paused: list[LaneReader] = []
        """Readers that were replaced and may wake up."""
        self.replaced: list[int] = []
        """Lanes whose reader was replaced, in order."""
        super().__init__(world, lanes)  # type: ignore[arg-type]
        self.base = world.store.live.get(DEFINITION.version, self.run.id).base_boundary
        with world.store.database.read() as connection:
            self.number: int = find_live_run(connection, DEFINITION.version, self.run.id).id

    def reader(self, lane: int) -> LaneReader:
        """As Live's; it never ends by itself, and the one before it may wake up again."""
        self.lane_config = replace(self.lane_config, until_idle=None)
        if len(getattr(self, "readers", ())) > lane:
            self.paused = [*self.paused, self.readers[lane]][-_PAUSED:]
            self.replaced.append(lane)
        return super().reader(lane)

    def pull(self, lane: int, fails: str | None = None) -> bool:
        """As Live's. A crash in the store is a bundle that fails and comes again."""
        try:
            return super().pull(lane, fails)
        except Crash:
            self.readers[lane] = self.reader(lane)
            return True
        except FencedError as error:
            self.readers[lane] = self.reader(lane)
            raise FencedReader(str(error)) from error

    def _take_in(self, decoded: Any) -> None:
        (batch,) = decoded.batches
        place = (batch.position, batch.number)
        before = {key: list(parts) for key, parts in self.pending.items()}, dict(self.holds)
        commits = self.world.fuse.commits
        try:
            super()._take_in(decoded)
        except Crash:
            self.pending, self.holds = before
            raise
        finally:
            if self.world.fuse.commits > commits and batch.generation > self.base:
                self.received.add(place)
        for key, parts in self.pending.items():
            if len(parts) > len(before[0].get(key, ())):
                self.waiting.setdefault(key, []).append(place)

    def fire(self, key: TileKey, fails: bool = False) -> None:
        """As Live's. A crash in the store is a pane that fails; one that the store has is repeated as it was."""
        parts, places = self.pending[key], self.waiting[key]
        size = self.frozen.get(key, len(parts))
        hold, commits = self.holds[key], self.world.fuse.commits
        self.pending[key] = parts[:size]
        crashed = False
        try:
            super().fire(key, fails)
        except Crash:
            crashed = True
        # a pane of late events alone may have nothing to write
        written = not crashed or self.world.fuse.commits > commits
        panes = self._panes(key, places[:size])
        if written:
            self.fired |= panes
        if crashed:
            self.pending[key] = parts
            if written:
                self.frozen[key] = size
            return
        self.behind -= panes
        self.frozen.pop(key, None)
        self.waiting[key] = places[size:]
        if places[size:]:
            self.pending[key], self.holds[key] = parts[size:], hold
        else:
            del self.waiting[key]

    def checkpoint(self) -> Callable[[], None]:
        """As Live's."""
        waiting, known = {key: list(places) for key, places in self.waiting.items()}, set(self.fired)
        frozen, go_back = dict(self.frozen), super().checkpoint()
        pending = {key: list(parts) for key, parts in self.pending.items()}

        def restore() -> None:
            go_back()
            self.pending = {key: list(parts) for key, parts in pending.items()}
            self.waiting = {key: list(places) for key, places in waiting.items()}
            self.frozen = dict(frozen)
            # a pane that was frozen is in the store, and the runner will repeat it
            repeated = [self._panes(key, waiting[key][:size]) for key, size in frozen.items()]
            self.behind |= (self.fired - known).union(*repeated)

        return restore

    def _panes(self, key: TileKey, places: Sequence[Place]) -> set[Fired]:
        tile, buckets = key[0], shard_from(place_of(key)[1], self.run.shards)
        mine = [name for name in KEYS if bucket_of(name) in buckets]
        return {(place, tile, name) for place in places for name in mine}

    def finish(self) -> None:
        """Read all that there is, fire all, and close the lanes."""
        for round_ in range(400):
            if not self.world.broker.outstanding and round_ > 2:
                for reader in self.readers:
                    reader.drain()
            for lane in range(len(self.readers)):
                try:
                    self.pull(lane)
                except FencedReader:
                    continue
            self.world.clock.advance(SECOND)
            if all(reader.finished() for reader in self.readers):
                break
        else:
            raise AssertionError("the lanes never ended")
        while self.pending:
            self.fire(min(self.pending))


class MachineWorld(World):
    """One journal that times out on demand and one store, kept between examples: making one takes too long."""

    live: MachineLive
    blobs: UnreliableBlobs

    def __init__(self, folder: Path, seed: int, lanes: int, shards: Sequence[int]) -> None:
        # not World's: there the blobs never fail, and the first run is another kind
        self.random, self.lanes, self.max_messages = Random(seed), (1, 2), 3
        self.shards: Iterator[int] = cycle(shards)
        self.layer_thresholds: Iterator[int | None] = cycle(LAYER_THRESHOLDS)
        self.definition, self.text, self.payloads = DEFINITION, TEXT, ()
        self.compiled = compile_definition(DEFINITION)
        self.home = Home.at(str(folder))
        self.store = open_store(self.home.store)
        _empty(self.store)
        self.store.definitions.register(self.compiled, TEXT)
        self.fuse = Fuse(self.store)
        self.armed = Armed()
        self.clock = ManualClock(wall=START)
        self.blobs = UnreliableBlobs(self.armed)
        self.broker = MemoryBroker(self.clock, 20 * SECOND)
        self.published: list[int] = []
        self.built: list[Plan] = []
        self.refusals: list[str] = []
        self._copies = {}
        self.model = Model()
        self._index = JournalIndex(self.blobs)
        self.runs: dict[str, MachineLive] = {}
        self.live = self.start(lanes)

    def start(self, lanes: int) -> MachineLive:
        """A run that takes over. Raises Crash or OSError where that was arranged."""
        live = MachineLive(self, lanes)
        self.runs[live.run.id] = live
        return live

    def index(self) -> JournalIndex:
        """The journal as it is now."""
        self._index.refresh()
        return self._index

    def close(self) -> None:
        """The store stays open for the next example."""
        self.fuse.remove()


def _empty(store: ViewStore) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for table in METADATA.sorted_tables:
            if table is not store_version:
                connection.exec_driver_sql(f"DELETE FROM {table.name}")
        connection.exec_driver_sql("DELETE FROM sqlite_sequence")
    store.chains._known.clear()  # all parts of the store share them, and numbers of runs begin anew
    TILE_CACHE.states.clear()
    changes._KNOWN.clear()
