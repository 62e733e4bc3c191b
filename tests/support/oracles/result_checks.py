"""What each rule of results comes to, each held against a short story: tests call them on the product as it is, and on
the product broken on purpose.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import IntervalWindow, WindowFn
from apache_beam.utils.timestamp import Timestamp
from breaking.fuses import Fuse
from samples.updates import Update
from without_runner.result_stories import BEGIN, Event, Story, definition_of, summary

from oracles.result_laws import check_answers, check_received, check_revisions
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.errors import TandemError
from tandem.schemas.time.durations import MINUTE, SECOND
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.results import nudges
from tandem.verification.world.live_run import Crash
from tandem.views.outbox.leases import LEASE
from tandem.views.outbox.messages import WAITING, Sent, take_messages
from tandem.views.results.due.choosing import Cursor
from tandem.views.results.revisions.draining import Drainer
from tandem.views.storage.database import wall_clock

__all__ = [
    "check_a_deliverer_dies_anywhere",
    "check_a_writer_dies_anywhere",
    "check_early_messages_wait",
    "check_final",
    "check_leases",
    "check_no_fan_out",
    "check_overtaken",
    "check_panes",
    "check_promoted",
    "check_repeated_writes",
    "check_served_alone",
    "check_sliding_is_early_once",
    "check_timing_rises",
    "check_zombies",
]

EARLY = "{window: 1m, trigger: {early: 10s}, to: log}"
ON_TIME = "{window: 1m, to: log}"


@contextmanager
def _told(result: str, **options: str) -> Iterator[Story]:
    with tempfile.TemporaryDirectory(prefix="tandem-results-") as folder:
        story = Story(Path(folder) / "v.db", definition_of(result, **options))
        try:
            story.serve()
            yield story
        finally:
            story.close()


def _settled(story: Story) -> None:
    """Somebody else delivers what is left: all that was written was sent, and is what is answered."""
    story.wait(2 * LEASE / SECOND)
    story.deliverer = story.new_deliverer("last")
    for _ in range(2):
        story.deliver()
        story.wait(60)
    check_revisions(story.output.sent)
    check_received(story)
    check_answers(story)


def check_a_deliverer_dies_anywhere() -> None:
    """Before and after each commit of a round that makes revisions and sends them."""
    for before in (True, False):
        for nth in range(1, 20):
            with _told(EARLY) as story:
                story.live(Event(0.1), Event(0.2, user="bob"))
                story.deliver()
                story.wait(10)
                story.watermark(0.5)
                story.live(Event(0.3))
                if _survives(story, nth, before):
                    break
                story.watermark(1)
                _settled(story)
        else:
            raise AssertionError("a round without an end")


def _survives(story: Story, nth: int, before: bool) -> bool:
    fuse = Fuse(story.store)
    fuse.light(nth, before=before)
    with suppress(Crash):
        story.deliver()
    fuse.remove()
    return fuse.out()


def check_a_writer_dies_anywhere() -> None:
    """Before and after each commit of a live write: what is answered then is sent, without another write."""
    for before in (True, False):
        for nth in range(1, 20):
            with _told(ON_TIME) as story:
                story._segment([Event(0.1)])
                story.watermark(1)
                story.events.append(Event(0.1))
                fuse = Fuse(story.store)
                fuse.light(nth, before=before)
                with suppress(Crash):
                    story._write_tile(BEGIN)
                fuse.remove()
                if fuse.out():
                    break
                _settled(story)
        else:
            raise AssertionError("a write without an end")


def check_repeated_writes() -> None:
    """A result that is declared while a run is served is sent of what the run writes again."""
    with _told(ON_TIME) as story:
        plain = compile_definition(story.compiled.definition.model_copy(update={"results": {}}))
        assert plain.version == story.version
        story.store.definitions.register(plain, "")
        story.live(Event(0.1))
        story.watermark(1)
        story.store.definitions.register(story.compiled, "")
        assert story.deliver() == []
        story._write_tile(BEGIN)
        assert story.told() == [("LATE", "ann", "08:00", 1)], "windows were over when it was declared"


def check_panes() -> None:
    """A pane, early or on time, makes workers drain, and says nothing of the timing."""
    with tempfile.TemporaryDirectory(prefix="tandem-results-") as folder:
        path = Path(folder) / "v.db"
        story = Story(path, definition_of(EARLY))
        story.now = wall_clock()  # which is the pane's
        story.serve()
        story.live(Event(0.1))
        drain = nudges._Drain(story.compiled.definition, LiveRunRef(story.place, "L", None))
        drain.setup()
        window = IntervalWindow(Timestamp(micros=BEGIN), Timestamp(micros=BEGIN + MINUTE))
        for _ in range(2):
            drain.start_bundle()
            drain.process(("visits", []), window)
            assert len(list(drain.finish_bundle())) == 1
        story.deliver()
        story.wait(600)
        story.deliver()
        assert {message["timing"] for message in story.output.sent} == {"EARLY"}
        story.watermark(1)
        assert story.told() == [("ON_TIME", "ann", "08:00", 1)]
        check_answers(story)
        story.close()


def check_overtaken() -> None:
    """Who has read and sleeps, while another writes a revision or the pointer moves, writes nothing."""
    for what in ("revision", "publication"):
        with _told(ON_TIME) as story:
            story.live(Event(0.1))
            story.watermark(1)
            story.deliver()
            story.live(Event(0.2))
            sleeper = Drainer(story.store, story.compiled)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Drainer, "_write", lambda self, name, seen, now: None)
                sleeper.drain(story.now)  # so that what is due waits
            seen = sleeper._read("r", sleeper._watermark.over, story.now, Cursor())
            assert seen is not None
            assert len(seen.revisions) == 1
            if what == "revision":
                story.deliver()
            else:
                story.too_late(Event(0.4))
                story.batch(1, complete_to=1)
            assert not sleeper._write("r", seen, story.now)
            _settled(story)


def check_timing_rises() -> None:
    """The same values are sent again when their window is over, and when it is settled; timing never falls."""
    with _told("{window: 1m, trigger: {early: 10s}, lateness: 1m, to: log}") as story:
        story.live(Event(0.1))
        story.deliver()
        story.wait(10)
        told = [story.told()]
        story.watermark(1)
        told.append(story.told())
        story.live(Event(0.2))
        told.append(story.told())
        story.batch(1, complete_to=2)
        told.append(story.told())
        assert [row[0] for rows in told for row in rows] == ["EARLY", "ON_TIME", "LATE", "FINAL"]
        _settled(story)


def check_final() -> None:
    """A window is final once the journal's lanes had passed its end and lateness at the boundary; not by live."""
    with _told("{window: 1m, lateness: 5m, to: log}") as story:
        story.live(Event(0.1))
        story.watermark(600)
        story.deliver()
        for boundary, until in ((1, None), (2, 5), (3, 6)):
            story.live(Event(0.1 + boundary / 100, generation=boundary + 1))
            story.batch(boundary, complete_to=until)
            story.deliver()
            timings = {message["timing"] for message in story.output.sent}
            assert ("FINAL" in timings) == (until == 6), (until, timings)
        _settled(story)


def check_served_alone() -> None:
    """A version that catches up beside the served one sends nothing, and keeps nobody waiting, until it is promoted."""
    with _told(ON_TIME) as story:
        more = definition_of(ON_TIME, measures="{n: count, amount: {max: amount}}")
        other = story.beside(more, "M")
        other.live(Event(0.1, amount=7))
        other.watermark(5)
        story.live(Event(0.1, amount=3))
        story.watermark(1)
        waits = other.new_deliverer("other")
        for _ in range(2):
            try:
                waits.run_once()
            except TandemError as error:
                raise AssertionError("it has the lease of what it doesn't deliver") from error
            story.deliver()
            story.wait(1)
        assert [(m["version"], m["results"]) for m in story.output.sent] == [(story.version, {"n": 1, "amount": 3})]
        assert other.output.sent == []


def check_promoted() -> None:
    """Once another version is promoted its answers are what was sent last; once it is rolled back, the first one's."""
    with _told(ON_TIME) as story:
        story.live(Event(0.1, amount=3), Event(0.2, amount=4))
        story.watermark(5)
        story.deliver()
        first = story.store.publishing.publications("visits")[0].ordinal
        most = definition_of(ON_TIME, measures="{n: count, amount: {max: amount}}")
        other = story.beside(most, "M")
        other.catch_up(story)
        other.watermark(5)
        story.deliverer.close()
        story.store.publishing.promote("visits", most.version, None, "M")
        other.output = story.output
        other.deliverer = other.new_deliverer("promoted")
        assert [(m["revision"], m["results"]["amount"]) for m in other.deliver()] == [(2, 4)]
        other.deliverer.close()
        story.store.publishing.roll_back("visits", first)
        story.deliverer = story.new_deliverer("back")
        assert [(m["revision"], m["results"]["amount"]) for m in story.deliver()] == [(3, 7)]
        check_revisions(story.output.sent)


def check_early_messages_wait() -> None:
    """While an output is away one early message of a window and key waits behind the one that may have been seen, under
    the next number, and is always the newest.
    """
    with _told(EARLY) as story:
        for count in range(6):
            story.live(Event(0.1))
            Drainer(story.store, story.compiled).drain(story.now)
            story.wait(10)
            Drainer(story.store, story.compiled).drain(story.now)
            rows = story.outbox()
            assert [(row.state, row.revision) for row in rows] == [(WAITING, 1)]
            assert f'"n":{count + 1}' in rows[0].payload
        story.output.fails = "away"
        story.deliver()
        story.live(Event(0.2))
        for _ in range(2):
            story.wait(10)
            Drainer(story.store, story.compiled).drain(story.now)
        assert [row.revision for row in story.outbox()] == [1, 2]
        story.output.fails = ""
        story.wait(600)
        _settled(story)


def check_leases() -> None:
    """One delivers, until it gives up the lease or doesn't renew it; then who takes over sends what was taken."""
    with _told(EARLY) as story:
        other = story.new_deliverer("second")
        story.live(Event(0.1))
        story.deliver()
        assert other.run_once() is None, "two deliver at once"
        story.wait(10)
        story.output.loses_answers = True
        story.deliver()
        story.output.loses_answers = False
        story.wait(2 * LEASE / SECOND)
        assert other.run_once() is not None
        assert story.deliverer.run_once() is None
        other.close()
        _settled(story)
        assert len(story.output.sent) > len({message["id"] for message in story.output.sent}), "never sent again"


def check_zombies() -> None:
    """Who sleeps over its lease takes and forgets nothing when it wakes up: the messages are the next one's."""
    with _told(EARLY) as story:
        story.live(Event(0.1))
        story.deliver()
        story.wait(10)
        Drainer(story.store, story.compiled).drain(story.now)
        assert story.deliverer._holds()
        lease = story.deliverer._lease
        assert lease is not None
        (message,) = take_messages(story.store.database, lease, "log", 10) or []
        story.wait(2 * LEASE / SECOND)
        story.output.fails = "away"
        story.new_deliverer("second").run_once()
        assert take_messages(story.store.database, lease, "log", 10, Sent([message], {}), story.now) is None
        assert len(story.outbox()) == 1, "a message is forgotten that nobody has got"
        story.output.fails = ""
        _settled(story)


def check_sliding_is_early_once() -> None:
    """Of overlapping windows only the one that ends next is early; and too many of them are refused."""
    with _told("{window: {size: 3m, every: 1m}, trigger: {early: 10s}, to: log}") as story:
        story.live(Event(2.5))
        story.deliver()
        story.wait(10)
        story.deliver()
        assert [summary(message) for message in story.output.sent] == [("EARLY", "ann", "08:00", 1)]
    try:
        definition_of("{window: {size: 24h, every: 1m}, trigger: {early: 1s}, keys: 100000, to: log}")
    except TandemError:
        return
    raise AssertionError("any overlap is let through")


def check_no_fan_out() -> None:
    """A tile that is written is one nudge, whatever rows it has, and lies in one window, whatever results have."""
    sliding = "{window: {size: 3m, every: 1m}, to: log}"
    with tempfile.TemporaryDirectory(prefix="tandem-results-") as folder:
        path = Path(folder) / "v.db"
        story = Story(path, definition_of(sliding))
        story.serve()
        writer = nudges._WriteAndNudge(story.compiled.definition, LiveRunRef(story.place, "L", None))
        writer.setup()
        writer.start_bundle()
        events = [Event(0.1), Event(0.2, user="bob"), Event(0.3, user="cid")]
        writer.process(Update(BEGIN, 0, story._block(events)))  # type: ignore[arg-type]
        assert len(list(writer.finish_bundle())) == 1
        graph = beam.Pipeline()
        tiles = graph | beam.Create([BEGIN])
        drained = tiles | nudges.DrainByPanes(story.compiled.definition, LiveRunRef(story.place, "L", None))
        for windows in (tiles.windowing.windowfn, drained.windowing.windowfn):
            assert len(windows.assign(WindowFn.AssignContext(Timestamp(micros=BEGIN + MINUTE - 1)))) == 1
        story.close()


def checks() -> dict[str, Any]:
    """All of them by name, so that a test can hold the product against each."""
    return {name: globals()[name] for name in __all__ if name.startswith("check_")}
