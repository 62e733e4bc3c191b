"""What the named scenarios have in common: a world, what was published to it, and what became of every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from breaking.unreliable_blobs import UnreliableBlobs
from samples.sales import SECOND, Sale, differences, expected, read_sale
from without_runner.worlds import World

from tandem.journal.runs.generations import next_generation
from tandem.transforms.sinks.views import serve_when_caught_up

__all__ = ["InterruptedBlobs", "counted", "fire_all", "journaled", "published", "roll", "send", "serve", "settle"]


class InterruptedBlobs(UnreliableBlobs):
    """The journal of a world, whose creates can be preceded by something that another process does."""

    def __init__(self, world: World) -> None:
        super().__init__(world.armed)
        self._blobs = world.blobs._blobs
        self.before: Callable[[str], None] | None = None
        """Called once, with the path that is about to be created, when it is set."""

    def create(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        before, self.before = self.before, None
        if before is not None:
            before(path)
        super().create(path, data)


def send(world: World, *sales: Sale, lane: int = 0) -> None:
    """Publish, and let this lane pull until it has it."""
    for sale in sales:
        world.broker.publish(sale.payload())
    while world.live.pull(lane):
        pass


def fire_all(world: World) -> None:
    """Every pane that waits."""
    for key in sorted(world.live.pending):
        world.live.fire(key)


def roll(world: World) -> int:
    """Begin the next generation, and let all lanes adopt it; its number."""
    current = world.index().current
    next_generation(world.blobs, world.clock, current, "test")
    world.clock.advance(SECOND)
    for lane in range(len(world.live.readers)):
        world.live.pull(lane)
    return current + 1


def published(world: World) -> list[Sale]:
    """The events of all that was ever published, copies as often as they were."""
    sales = [read_sale(message.data) for message in world.broker.published.values()]
    return [sale for sale in sales if sale is not None and sale.fate == "event"]


def journaled(world: World) -> list[Sale]:
    """The events that the journal holds, copies as often as they are there."""
    return [copy.sale for copy in world.sold() if copy.sale is not None and copy.fate == "event"]


def counted(world: World, sales: Iterable[Sale]) -> tuple[int, int]:
    """(lost, counted twice or out of nothing): the served answers against these events, each once."""
    wanted = Counter((sale.key, sale.tile) for sale in set(sales))
    found = Counter({place: row["events"] for place, row in world.answers().items()})
    return (wanted - found).total(), (found - wanted).total()


def serve(world: World) -> None:
    """Read and fire to the end, and serve the present live run."""
    world.live.drain()
    assert serve_when_caught_up(world.store, world.definition, world.live.run.id), "caught up, and not served"


def settle(world: World, late: int = 0) -> None:
    """Live has everything but `late` events; then batch takes over generation by generation and has all of it."""
    serve(world)
    assert sum(copy.late for copy in world.sold()) == late
    if not late:
        assert counted(world, published(world)) == (0, 0), "live"
    for boundary in range(world.boundary + 1, world.index().sealed + 1):
        if (work := world.build(upto=boundary)) is not None:
            assert world.publish_batch(work), world.refusals[-1]
            if not late:
                assert counted(world, published(world)) == (0, 0), f"boundary {boundary}"
    assert counted(world, published(world)) == (0, 0), "batch"
    wrong = differences(world.answers(), expected(published(world)))
    assert not wrong, wrong[:3]
