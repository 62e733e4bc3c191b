"""Every scenario that broke the first sketch of the design, by its name: lost 0, counted twice 0.

Each runs on the whole system without a runner: journal, readers, fold, view store, batch runs and pointer. What the
journal alone must do in most of them is in tests/journal/lanes/test_lane_scenarios.py, under the same names.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
from samples.sales import LATENESS, SECOND, START, TILE, Sale, text
from state_machine.story import InterruptedBlobs, counted, fire_all, journaled, published, roll, send, serve, settle
from without_runner.clock_jumps import set_wall
from without_runner.worlds import World, world_of

from tandem.journal.clocks import ManualClock
from tandem.journal.runs.heartbeats import DEFAULT_HEARTBEAT_INTERVAL, Heartbeat
from tandem.journal.runs.manifests import start_run
from tandem.schemas.certificate import Status
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.errors import FencedError, PublishRefusedError, WriterAliveError
from tandem.transforms.sinks.views import serve_when_caught_up
from tandem.verification.world.live_run import Live
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer

HOUR = 3600 * SECOND


def sales(count: int, at: int = START, name: str = "s", step: int = SECOND) -> list[Sale]:
    """Events a second apart, of three keys."""
    return [Sale(f"{name}{n}", at + n * step, "abc"[n % 3], 0.1 + n) for n in range(count)]


def lanes_an_hour_apart(world: World) -> None:
    """Nothing of the slower lane is late, neither when it comes nor when both are replayed by one lane."""
    world.live = Live(world, 2)
    for slow, fast in zip(sales(12, step=TILE), sales(12, START + HOUR, "f", TILE), strict=True):
        send(world, fast, lane=0)
        send(world, slow, lane=1)
        world.clock.advance(SECOND)
        fire_all(world)
    serve(world)
    assert counted(world, published(world)) == (0, 0)
    world.live = Live(world, 1)
    settle(world)


def a_lane_that_was_never_opened(world: World) -> None:
    """It is listed in its run's manifest, and its reader comes when the run is sealed already."""
    world.live = old = Live(world, 3)
    send(world, *sales(5), lane=0)
    fire_all(world)
    world.live = Live(world, 1)
    late = old.readers[2]
    world.broker.publish(Sale("after", START).payload())
    with pytest.raises(FencedError, match="sealed for ever"):
        late.advance()
    settle(world)
    assert world.index().sealed == world.index().current, "the lane holds nothing up"


def a_writer_with_a_slow_clock(world: World) -> None:
    """Its wall clock stands a day behind its predecessor's: order, lateness and takeover don't ask for it."""
    send(world, *sales(5))
    fire_all(world)
    set_wall(world.clock, world.clock.wall() - 24 * HOUR)
    world.live = Live(world, 2)
    send(world, *sales(5, START + TILE, "slow"), lane=1)
    roll(world)
    send(world, *sales(3, START + TILE, "more"), lane=0)
    assert {copy.generation for copy in world.sold()} == {1, 2, 3}
    settle(world)


def a_clock_that_is_set_back(world: World) -> None:
    """In the middle of a generation and again while idle, to 1970."""
    send(world, *sales(5))
    set_wall(world.clock, 0)
    send(world, *sales(5, START + TILE, "back"))
    world.clock.advance(20 * SECOND)
    set_wall(world.clock, -HOUR)
    roll(world)
    send(world, *sales(5, START + 2 * TILE, "again"))
    settle(world)


def a_paused_writer_wakes_after_its_replacement(world: World) -> None:
    """What it had pulled is neither acknowledged nor written, and comes again."""
    send(world, *sales(3))
    paused = world.live
    world.live = Live(world, 1)
    world.live.pull(0)
    before = len(world.broker.acknowledged)
    world.broker.publish(Sale("pulled by the paused one", START).payload())
    with pytest.raises(FencedError):
        paused.pull(0)
    assert len(world.broker.acknowledged) == before
    assert len(journaled(world)) == 3
    settle(world)
    assert len(journaled(world)) == 4, "each once"


def a_paused_reader_wakes_after_its_replacement(world: World) -> None:
    """The same between two readers of one lane of one run."""
    send(world, *sales(3))
    paused, world.live.readers[0] = world.live.readers[0], world.live.reader(0)
    send(world, *sales(3, name="t"))
    world.broker.publish(Sale("pulled by the paused one", START).payload())
    with pytest.raises(FencedError, match="opening"):
        paused.advance()
    settle(world)
    assert len(journaled(world)) == 7, "each once"


def a_paused_writer_wakes_first(world: World) -> None:
    """It writes at the very number at which its replacement is about to seal: that lies before the seal."""
    send(world, *sales(3))
    paused = world.live.readers[0]
    world.blobs = blobs = InterruptedBlobs(world)
    place = f"lanes/{world.live.run.id}/0000/"

    def wake(path: str) -> None:
        if not path.startswith(place):
            blobs.before = wake
            return
        world.broker.publish(Sale("written at the last moment", START).payload())
        assert paused.advance() is not None

    blobs.before = wake
    world.live = Live(world, 1)
    assert blobs.before is None, "it never woke"
    world.broker.publish(Sale("pulled too late", START).payload())
    with pytest.raises(FencedError):
        paused.advance()
    settle(world)
    assert len(journaled(world)) == 5, "each once"


def a_paused_reader_wakes_first(world: World) -> None:
    """Its replacement exists and has not opened the lane yet: it takes over what the paused one writes."""
    send(world, *sales(3))
    paused, world.live.readers[0] = world.live.readers[0], world.live.reader(0)
    world.broker.publish(Sale("written at the last moment", START).payload())
    assert paused.advance() is not None
    send(world, *sales(3, name="t"))
    world.broker.publish(Sale("pulled too late", START).payload())
    with pytest.raises(FencedError):
        paused.advance()
    settle(world)
    assert len(journaled(world)) == 8, "each once"


def an_object_store_that_times_out(faults: list[str]) -> Callable[[World], None]:
    """On writes that have succeeded, or do so later, or never: the caller can't know which."""

    def story(world: World) -> None:
        world.blobs = blobs = InterruptedBlobs(world)
        world.live = Live(world, 1)
        send(world, *sales(2))
        failed, begun = 0, world.clock.monotonic()
        for number in range(4):
            at = START + TILE + world.clock.monotonic() - begun  # else the idle watermark would pass it
            world.broker.publish(Sale(f"t{number}", at).payload())
            blobs.faults.extend(faults)
            for _ in range(6):
                try:
                    world.live.pull(0)
                except TimeoutError:
                    failed += 1
                    blobs.deliver()
                world.clock.advance(7 * SECOND)
            blobs.faults.clear()
        assert failed or len(faults) < 3, "the caller never saw a failure"
        settle(world)
        paths = [copy.segment for copy in world.sold()]
        assert len(set(journaled(world))) == 6
        assert len(paths) <= 12, "a write was taken for another's again and again"

    return story


class _Beating(ManualClock):
    """A clock that lets another process beat while this one waits."""

    beat: Callable[[], None] = staticmethod(lambda: None)

    def sleep(self, duration: int) -> None:
        super().sleep(duration)
        self.beat()


def two_supervised_writers(world: World) -> None:
    """Each is started again whenever it is fenced, and takes over: no livelock, nothing lost, nothing twice."""
    waiting = sales(40, step=TILE // 4)
    lives, restarts = [world.live, Live(world, 1)], 0
    while waiting or world.broker.outstanding:
        assert restarts < 40, "they only fence each other"
        for number in range(2):
            world.live = lives[number]
            for sale in waiting[:3]:
                world.broker.publish(sale.payload())
            waiting = waiting[3:]
            try:
                world.live.pull(0)
            except FencedError:
                world.live, restarts = Live(world, 1), restarts + 1
            lives[number] = world.live
            # long enough to get past the replay: a writer that is replaced before that never comes to pull
            while world.live.pull(0):
                fire_all(world)
            world.clock.advance(8 * SECOND)
            serve_when_caught_up(world.store, world.definition, world.live.run.id)
            assert counted(world, published(world))[1] == 0, "counted twice"
    assert restarts >= 4, "hardly a fight"
    world.live = Live(world, 1)
    serve(world)
    assert counted(world, published(world)) == (0, 0)


def a_second_writer_while_the_first_is_alive(world: World) -> None:
    """Refused while the first one's heartbeat is fresh; nothing of the first is disturbed."""
    world.clock = clock = _Beating(world.clock.monotonic(), world.clock.wall())
    world.live = Live(world, 1)
    send(world, *sales(3))
    heartbeat = Heartbeat(world.blobs, clock, world.live.run.id, DEFAULT_HEARTBEAT_INTERVAL)
    clock.beat = heartbeat.beat
    before = dict(world.blobs._blobs)

    def start() -> None:
        start_run(world.blobs, clock, lanes=1, subscription=world.live.run.subscription)

    with pytest.raises(WriterAliveError, match=world.live.run.id):
        start()
    changed = {path for path, data in world.blobs._blobs.items() if before.get(path) != data}
    assert all(path.startswith("heartbeats/") for path in changed), "the refused one left something"
    send(world, *sales(3, name="t"))
    settle(world)
    clock.beat = lambda: None
    start()


def a_redelivery_in_a_later_generation(first: str) -> Callable[[World], None]:
    """Copies in generations 1 and 2, a boundary between them, then a restart; `first`: the copy that live counts."""

    def story(world: World) -> None:
        world.live = Live(world, 2)
        world.live.pull(1)
        begun = world.index().current
        send(world, *sales(2))
        # the reader dies when its segment is written and not acknowledged: it comes again
        copied = Sale("copied", START)
        world.broker.publish(copied.payload())
        world.live.pull(0, "after-segment")
        if first == "earlier":
            world.live.pull(0)
            fire_all(world)
        later = _adopt(world, 1)
        assert later == begun + 1
        world.clock.advance(30 * SECOND)
        while world.live.pull(1):
            fire_all(world)
        copies = sorted(copy.generation for copy in world.sold() if copy.sale == copied)
        assert copies == [begun, later]
        for _ in range(3):
            world.live.pull(0)
            world.clock.advance(SECOND)
        fire_all(world)
        serve_when_caught_up(world.store, world.definition, world.live.run.id)
        assert counted(world, published(world)) == (0, 0), "before the boundary"
        work = world.build(upto=begun)
        assert work is not None
        assert world.publish_batch(work), world.refusals[-1]
        assert counted(world, published(world)) == (0, 0), "the boundary between the copies"
        world.live = Live(world, 1)
        send(world, Sale("after", START))
        serve_when_caught_up(world.store, world.definition, world.live.run.id)
        settle(world)

    return story


def _adopt(world: World, lane: int) -> int:
    """Begin a generation that only this lane knows of as yet."""
    world.live.readers[lane].request_roll()
    world.live.pull(lane)
    return world.index().current


def a_runner_restored_from_an_older_checkpoint(world: World) -> None:
    """The store has seen more than the runner remembers: answers stand until the runner is past them."""
    send(world, *sales(4))
    fire_all(world)
    go_back = world.live.checkpoint()
    for number in range(4):
        send(world, *sales(5, START + number * SECOND, f"x{number}-"))
        if number % 2:
            fire_all(world)
    serve_when_caught_up(world.store, world.definition, world.live.run.id)
    before = {place: row["events"] for place, row in world.answers().items()}
    assert sum(before.values()) == 24
    for panes in (1, 2, 3):
        go_back()
        pulled = 0
        while world.live.pull(0):
            pulled += 1
            if pulled % panes == 0:
                fire_all(world)
            now = {place: row["events"] for place, row in world.answers().items()}
            assert now == before, "an answer changed while the runner caught up"
        send(world, Sale(f"after {panes}", START))
        fire_all(world)
        before = {place: row["events"] for place, row in world.answers().items()}
        assert counted(world, published(world)) == (0, 0)
        go_back = world.live.checkpoint() if panes == 2 else go_back
    settle(world)


def a_publisher_that_is_idle_for_an_hour(world: World) -> None:
    """The watermark goes on by the time that passes and never to the clock; what comes then in time isn't late."""
    world.live.lane_config = replace(world.live.lane_config, until_idle=None)
    world.live.readers[0] = world.live.reader(0)
    send(world, *sales(5))
    fire_all(world)
    for _ in range(3600 // 5):
        world.clock.advance(5 * SECOND)
        world.live.pull(0)
    watermark = world.live.watermark
    assert watermark is not None
    assert START + HOUR - 60 * SECOND <= watermark <= START + 4 * SECOND + HOUR
    send(world, *sales(5, START + HOUR, "more"))
    send(world, Sale("an hour late", START))
    assert [copy.sale.id for copy in world.sold() if copy.sale is not None and copy.late] == ["an hour late"]
    world.live = Live(world, 1)
    settle(world, late=1)


def rolling_back_across_a_boundary(world: World) -> None:
    """Live fills the generation that the older batch run doesn't cover; going forward again changes nothing."""
    for number in range(3):
        send(world, *sales(4, START + number * SECOND, f"g{number}-"))
        fire_all(world)
        roll(world)
    serve_when_caught_up(world.store, world.definition, world.live.run.id)
    name, version, publications = world.definition.name, world.definition.version, []
    for boundary in (1, 2, 3):
        work = world.build(upto=boundary)
        assert work is not None
        publications.append(world.store.publishing.publish(name, version, work.batch_run, work.live_run))
    for target in (publications[0], publications[2], publications[1]):
        moved = world.store.publishing.roll_back(name, target.ordinal)
        assert moved.boundary == target.boundary == world.boundary
        assert counted(world, published(world)) == (0, 0), f"at boundary {target.boundary}"
    send(world, *sales(4, START + 5 * SECOND, "after"))
    world.live = Live(world, 2)
    settle(world)


def rolling_back_over_late_events(world: World) -> None:
    """Batch alone has them, so going back would lose them: refused, and nothing has moved."""
    send(world, *sales(3), Sale("far", START + 100 * SECOND))
    send(world, Sale("late", START))
    fire_all(world)
    name, version = world.definition.name, world.definition.version
    serve_when_caught_up(world.store, world.definition, world.live.run.id)
    first = world.store.publishing.served(name)
    assert first is not None
    roll(world)
    work = world.build(upto=1)
    assert work is not None
    world.store.publishing.publish(name, version, work.batch_run, work.live_run)
    with pytest.raises(PublishRefusedError, match="1 late events"):
        world.store.publishing.roll_back(name, first.ordinal)
    assert counted(world, published(world)) == (0, 0)
    settle(world, late=1)


class _NewVersion(World):
    """The same surroundings for a changed definition; made by `changed`."""

    @property
    def boundary(self) -> int:
        """Of what is served of this version."""
        served = self.store.publishing.served(self.definition.name)
        return served.boundary if served is not None and served.version == self.definition.version else 0


def _changed(world: World) -> _NewVersion:
    new = copy.copy(world)
    new.__class__ = _NewVersion
    assert isinstance(new, _NewVersion)
    new.text = text().replace("highest: {max: amount}", "highest: {max: units}")
    new.definition = loads(new.text)
    new.compiled = compile_definition(new.definition)
    assert new.definition.version != world.definition.version
    new.store.definitions.register(new.compiled, new.text)
    new.built, new.live = [], Live(new, 1)
    return new


def a_new_version_while_the_old_one_serves(world: World) -> None:
    """The old answers stand until the pointer moves; from then on the new one's have every event."""
    send(world, *sales(6))
    fire_all(world)
    roll(world)
    serve_when_caught_up(world.store, world.definition, world.live.run.id)
    work = world.build(upto=1)
    assert work is not None
    assert world.publish_batch(work)
    old = dict(world.answers())
    new = _changed(world)
    send(new, *sales(6, START + TILE, "new"))
    fire_all(new)
    assert not serve_when_caught_up(new.store, new.definition, new.live.run.id), "promoting is the user's to decide"
    assert world.answers() == old, "the old version's answers changed"
    built = new.build(upto=1)
    assert built is not None
    assert world.answers() == old
    new.store.publishing.publish(new.definition.name, new.definition.version, built.batch_run, new.live.run.id)
    rows = {(row.key, row.start): row.results["highest"] for row in all_answers(new.store, new.compiled)}
    assert set(rows.values()) == {1}, "the changed measure is served"
    assert counted(new, published(new)) == (0, 0)
    new.live.drain()
    assert counted(new, published(new)) == (0, 0)


def publishing_with_an_older_live_run(world: World) -> None:
    """It has read the last segment and died before it counted it: what the served run counts must not go missing."""
    send(world, *sales(4))
    fire_all(world)
    serve_when_caught_up(world.store, world.definition, world.live.run.id)
    roll(world)
    send(world, Sale("read and not counted", START))
    older, world.live = world.live, Live(world, 1)
    serve(world)
    work = world.build(upto=1)
    assert work is not None
    with pytest.raises(PublishRefusedError):
        world.store.publishing.publish(world.definition.name, world.definition.version, work.batch_run, older.run.id)
    assert counted(world, published(world)) == (0, 0)


def finality(world: World) -> None:
    """Once the window is over and batch has it, its answer is FINAL, and holds every event."""
    send(world, *sales(6))
    for number in range(2):
        world.clock.advance(SECOND)
        send(world, Sale(f"far {number}", START + TILE + LATENESS + TILE + number))
    settle(world)
    found = [answer(world.store, world.compiled, key, START, START + TILE) for key in ('["a"]', '["b"]', '["c"]')]
    assert [(each.certificate.status, each.certificate.reasons) for each in found] == [(Status.FINAL, ())] * 3
    assert sum(each.certificate.events for each in found) == 6


SCENARIOS = [
    pytest.param(lanes_an_hour_apart, id="lanes an hour apart in event time"),
    pytest.param(a_lane_that_was_never_opened, id="a lane listed but never opened when its run is sealed"),
    pytest.param(a_writer_with_a_slow_clock, id="a writer with a slow clock"),
    pytest.param(a_clock_that_is_set_back, id="a clock set back"),
    pytest.param(a_paused_writer_wakes_after_its_replacement, id="a paused writer wakes after its replacement"),
    pytest.param(a_paused_reader_wakes_after_its_replacement, id="a paused reader wakes after its replacement"),
    pytest.param(a_paused_writer_wakes_first, id="a paused writer wakes first"),
    pytest.param(a_paused_reader_wakes_first, id="a paused reader wakes first"),
    pytest.param(an_object_store_that_times_out(["landed"]), id="an object store times out: succeeded, found at once"),
    pytest.param(
        an_object_store_that_times_out(["landed", "lost", "lost"]),
        id="an object store times out: succeeded, found by the next call",
    ),
    pytest.param(an_object_store_that_times_out(["delayed", "lost", "lost"]), id="an object store times out: later"),
    pytest.param(an_object_store_that_times_out(["lost"] * 3), id="an object store times out: failed"),
    pytest.param(two_supervised_writers, id="two supervised writers"),
    pytest.param(a_second_writer_while_the_first_is_alive, id="a second writer while the first is alive"),
    pytest.param(
        a_redelivery_in_a_later_generation("earlier"),
        id="a redelivery in a later generation, a boundary between the copies, a restart",
    ),
    pytest.param(
        a_redelivery_in_a_later_generation("later"),
        id="a redelivery in a later generation that counts first, a boundary between the copies, a restart",
    ),
    pytest.param(a_runner_restored_from_an_older_checkpoint, id="a runner restored from an older checkpoint"),
    pytest.param(a_publisher_that_is_idle_for_an_hour, id="idle publisher for an hour, then more events"),
    pytest.param(rolling_back_across_a_boundary, id="roll back across a boundary"),
    pytest.param(rolling_back_over_late_events, id="roll back across a boundary that late events lie behind"),
    pytest.param(a_new_version_while_the_old_one_serves, id="a new version started while the old one serves"),
    pytest.param(
        publishing_with_an_older_live_run,
        id="publishing with an older live run that has not counted what it read",
    ),
    pytest.param(finality, id="the end of the window"),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: Callable[[World], None]) -> None:
    with world_of(1, lanes=(1,)) as world:
        scenario(world)
