"""Scenarios that every engine must pass, each a short story that real processes play."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from processes.bench import IDLE, Bench
from processes.stages import ROOT, wait_for
from samples import orders
from samples.orders import HOUR, SECOND, START, TILE

from on_engines.sent_results import results_of_files, results_of_live
from on_engines.windowed_measures import windowed_measures
from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SystemClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.definition.loading import load
from tandem.transforms.sources.decoding import observe, source_readings

__all__ = ["SCENARIOS", "Scenario"]


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    name: str
    """In the table."""
    live: Callable[[Bench], None]
    """Played on engines of live pipelines; with a backfill at the end."""
    bounded: Callable[[Bench], None] | None = None
    """Played where there is no unbounded source: as a backfill of files. None: it makes no sense there."""

    @property
    def id(self) -> str:
        """Of the test."""
        return self.name.replace(" ", "-")


def fixed_tiles(bench: Bench) -> None:
    """Disordered orders with copies, over three minutes of tiles."""
    _live_then_batch(bench, _some_orders())


def fixed_tiles_of_files(bench: Bench) -> None:
    """The same from files."""
    _files(bench, _some_orders())


def _some_orders() -> list[bytes]:
    return orders.disordered(orders.in_order(900), random.Random(6))


def _live_then_batch(bench: Bench, messages: list[bytes], key: str = "shop") -> None:
    definition = orders.definition(bench.folder, key=key)
    bench.publish(messages)
    bench.well(bench.live(definition, flags=IDLE))
    _check_live_then_batch(bench, definition, key=key)


def _check_live_then_batch(
    bench: Bench, *definitions: Path, key: str = "shop", late: list[bytes] | None = None
) -> None:
    for definition in definitions:
        bench.check(definition, key=key, late=late or ())
        bench.check_states(definition, key=key, late=late or ())
    bench.backfill(*definitions)
    for definition in definitions:
        bench.check(definition, key=key)
        bench.check_batch_alone(definition)


def _files(bench: Bench, messages: list[bytes], key: str = "shop") -> None:
    definition = orders.definition(bench.folder, key=key)
    half = len(messages) // 2
    bench.write(messages[:half])
    bench.write(messages[half:])
    bench.backfill(definition)
    bench.check(definition, key=key)


def late_data(bench: Bench) -> None:
    """Some come when their tile takes nothing more: live has them in its ledger only, batch in its answers."""
    definition = orders.definition(bench.folder, lateness="10s")
    bench.publish(orders.in_order(300))
    live = bench.live(definition, flags=IDLE, lanes=1)
    bench.until_counted(definition, live)
    # the watermark is near a minute after the start now, and takes in what isn't half a minute old
    late = orders.in_order(40, prefix="late")
    bench.publish([*late, *orders.in_order(100, first=300)])
    bench.well(live)
    assert _totals(bench, definition, "late") == sum(a["orders"] for a in orders.answers(late).values())
    _check_live_then_batch(bench, definition, late=late)


def _totals(bench: Bench, definition: Path, what: str) -> int:
    """A sum over all generations of the newest live run, as `tandem status` tells it."""
    found = json.loads(_tandem(bench, "status", bench.view(definition).compiled.definition.name, "--json"))
    return sum(row[what] for row in found["live_runs"][-1]["generations"].values())


def late_files(bench: Bench) -> None:
    """For batch nothing is late."""
    _files(bench, [*orders.in_order(300), *orders.in_order(40, prefix="late")])


def _tandem(bench: Bench, *arguments: str) -> str:
    command = [sys.executable, "-m", "tandem", *arguments]
    done = subprocess.run(command, env=bench.stage.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def idle_lane(bench: Bench) -> None:
    """Three messages can't reach four lanes: some lane never has any, and holds up neither watermark nor seals."""
    definition = orders.definition(bench.folder)
    live = bench.live(definition, flags=("--idle-timeout", "1s"), lanes=4)
    bench.publish([orders.order(n, START + n * HOUR) for n in range(3)])
    bench.until_counted(definition, live)
    last = START + 2 * HOUR
    wait_for("the watermark passes all messages but for their disorder", lambda: _watermark(bench, definition) >= last)
    wait_for("what holds them is sealed", lambda: _sealed(bench, 3) or live.has_ended())
    # while live runs on
    bench.backfill(definition)
    bench.check(definition)
    bench.publish([orders.order(n, START + n * HOUR) for n in range(3, 6)])
    bench.until_counted(definition, live)
    bench.check(definition)
    live.process.terminate()
    bench.well(live)
    _check_live_then_batch(bench, definition)


def _watermark(bench: Bench, definition: Path) -> int:
    view = bench.view(definition)
    served = view.served
    assert served is not None
    assert served.live_run is not None
    return view.store.live.get(served.version, served.live_run).watermark or 0


def _sealed(bench: Bench, messages: int) -> bool:
    """Whether so many messages lie in sealed generations."""
    index = JournalIndex(bench.stage.blobs)
    index.refresh()
    return sum(ref.count for ref in index.segments() if ref.generation <= index.sealed) >= messages


def restart(bench: Bench) -> None:
    """Killed in the middle, and started again: the new run replays the journal of the one before."""
    definition = orders.definition(bench.folder)
    messages = _some_orders()
    third = len(messages) // 3
    bench.publish(messages[:third])
    live = bench.live(definition)
    bench.until_counted(definition, live)
    bench.publish(messages[third : 2 * third])
    live.kill()
    bench.publish(messages[2 * third :])
    bench.well(bench.live(definition, flags=(*IDLE, "--take-over")))
    _check_live_then_batch(bench, definition)


def two_definitions(bench: Bench) -> None:
    """Over one read, with keys of their own."""
    by_shop, by_kind = _two(bench)
    bench.publish(_some_orders())
    bench.well(bench.live(by_shop, by_kind, flags=IDLE))
    for definition, key in ((by_shop, "shop"), (by_kind, "kind")):
        bench.check(definition, key=key)
        bench.check_states(definition, key=key)
    _two_of_batch(bench)


def two_definitions_of_files(bench: Bench) -> None:
    """Likewise, in one backfill."""
    bench.write(_some_orders())
    _two_of_batch(bench)


def _two(bench: Bench) -> tuple[Path, Path]:
    return orders.definition(bench.folder), orders.definition(bench.folder, "orders-by-kind", key="kind")


def _two_of_batch(bench: Bench) -> None:
    by_shop, by_kind = _two(bench)
    bench.backfill(by_shop, by_kind)
    bench.check(by_shop)
    bench.check(by_kind, key="kind")


_KEYS = 15_000


def high_cardinality(bench: Bench) -> None:
    """A key for nearly each order."""
    _live_then_batch(bench, _many_keys())


def high_cardinality_of_files(bench: Bench) -> None:
    """Likewise."""
    _files(bench, _many_keys())


def _many_keys() -> list[bytes]:
    return orders.in_order(_KEYS + _KEYS // 10, shops=_KEYS, step=SECOND // 500)


def dead_letters(bench: Bench) -> None:
    """What is no order stops nothing, and is kept byte for byte."""
    messages = [*orders.in_order(200), *orders.DEAD, *orders.in_order(200, first=200), *orders.DEAD]
    definition = orders.definition(bench.folder)
    bench.publish(messages)
    bench.well(bench.live(definition, flags=IDLE))
    _check_dead(bench, definition)
    _check_live_then_batch(bench, definition)
    _check_dead(bench, definition)


def dead_letters_of_files(bench: Bench) -> None:
    """Likewise."""
    definition = orders.definition(bench.folder)
    bench.write([*orders.in_order(200), *orders.DEAD])
    bench.backfill(definition)
    bench.check(definition)
    _check_dead(bench, definition)


def _check_dead(bench: Bench, definition: Path) -> None:
    """The dead letters that are listed and kept are just those that were sent."""
    name = bench.view(definition).compiled.definition.name
    listed = json.loads(_tandem(bench, "deadletters", "list", name, "--json", "--limit", "1000"))
    sent = [message for message in bench.published if message in orders.DEAD]
    assert len(listed["letters"]) == len(sent)


def until_idle(bench: Bench) -> None:
    """Ends by itself with all that came while it ran, and leaves every lane sealed: batch's answers are final then."""
    definition = orders.definition(bench.folder, lateness="1h")
    messages = [*_some_orders(), orders.order(0, START + 2 * HOUR, prefix="last")]
    bench.publish(messages[:300])
    # soon idle, so that the lanes' watermarks meet at the last order's before they end
    live = bench.live(definition, flags=(*IDLE, "--idle-timeout", "1s"), lanes=3)
    for start in range(300, len(messages), 100):
        bench.until_counted(definition, live, messages[: start - 100])
        bench.publish(messages[start : start + 100])
    bench.well(live)
    assert _sealed(bench, len(messages))
    _check_live_then_batch(bench, definition)
    bench.check_final(definition)


def lanes_an_hour_apart(bench: Bench) -> None:
    """Each lane replays one of an earlier run whose lanes were an hour apart: none of the slower's orders is late."""
    definition = orders.definition(bench.folder, lateness="10s")
    slow, fast = orders.in_order(600, prefix="slow"), orders.in_order(600, start=START + HOUR, prefix="fast")
    _journal(bench, definition, [fast, slow])
    bench.publish(orders.in_order(50, start=START + HOUR + 12 * TILE, prefix="more"))
    bench.well(bench.live(definition, flags=IDLE))
    bench.published += slow + fast
    assert _totals(bench, definition, "late") == 0
    _check_live_then_batch(bench, definition)


def _journal(bench: Bench, path: Path, lanes: list[list[bytes]]) -> None:
    """An earlier run that has ended, each of whose lanes read these messages."""
    definition = load(path)
    readings, clock = source_readings([definition]), SystemClock()
    (bench.stage.home / "journal").mkdir()
    blobs = LocalBlobs(str(bench.stage.home / "journal"))
    version = definition.source.version
    run = start_run(blobs, clock, lanes=len(lanes), subscription=bench.stage.subscription, sources=[version])
    config = LaneConfig({version: definition.source.out_of_orderness}, max_messages=20)
    readers: list[Iterator[None]] = []
    for number, messages in enumerate(lanes):
        broker = MemoryBroker(clock)
        for message in messages:
            broker.publish(message)
        reader = LaneReader(blobs, run, number, broker, clock, lambda found: observe(readings, found), config)
        readers.append(_read(reader, len(messages)))
    # by turns
    while readers:
        readers = [reader for reader in readers if next(reader, reader) is None]


def _read(reader: LaneReader, number: int) -> Iterator[None]:
    while number > 0:
        emitted = reader.advance()
        number -= emitted.messages.num_rows if emitted is not None else 0
        yield
    reader.drain()
    while not reader.done:
        reader.advance()
        yield


SCENARIOS = (
    Scenario("fixed tiles", fixed_tiles, fixed_tiles_of_files),
    Scenario("late data", late_data, late_files),
    Scenario("idle lane", idle_lane),
    Scenario("restart", restart),
    Scenario("two definitions", two_definitions, two_definitions_of_files),
    Scenario("high cardinality", high_cardinality, high_cardinality_of_files),
    Scenario("dead letters", dead_letters, dead_letters_of_files),
    Scenario("until idle", until_idle),
    Scenario("lanes an hour apart", lanes_an_hour_apart),
    Scenario("results", results_of_live, results_of_files),
    Scenario("windowed measures", windowed_measures, windowed_measures),
)
