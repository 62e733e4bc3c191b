"""Brokers, stores, disks and clocks fail under a live pipeline; every answer is the expected one when it is over.

One live pipeline goes through all faults of this module, one after the other; where it ends by a fault, which it may
for a full disk of the journal, it is started again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from breaking.clock_shift import ClockShift
from breaking.fault_worlds import FaultWorld, fault_world
from processes.stages import Tandem, wait_for
from processes.trials import LIVE

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

HOUR = 3600
SOME = 200
"""Events before, during and after a fault."""

LONG = [pytest.param(3, id="short"), pytest.param(60, id="60 s", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def shared(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultWorld]:
    """One for all tests here."""
    with fault_world(tmp_path_factory.mktemp("faults"), emulator) as made:
        yield made


@pytest.fixture
def world(shared: FaultWorld) -> FaultWorld:
    """Live runs, and has answered for all so far."""
    if not shared.is_up:
        shared.up()
        shared.publish(SOME)
        shared.caught_up("before the fault")
    return shared


def recover(world: FaultWorld) -> None:
    """The fault is over: what came meanwhile and what comes now is answered."""
    world.publish(SOME)
    world.caught_up("after the fault")


@pytest.mark.parametrize("seconds", LONG)
def test_broker_down(world: FaultWorld, seconds: float) -> None:
    world.proxy.cut()
    world.publish(SOME)
    time.sleep(seconds)
    assert sum(world.view.counts().values()) == len(world.messages) - SOME
    assert world.live is not None
    assert world.live.process.poll() is None, world.live.said()
    world.proxy.heal()
    recover(world)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another process holds the store's write lock."""
    program = (
        "import sqlite3, sys\n"
        "store = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n"
        "store.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        yield
        holder.communicate(b"")


@pytest.mark.parametrize("seconds", LONG)
def test_store_locked(world: FaultWorld, seconds: float) -> None:
    with locked(world.stage.store.removeprefix("sqlite:///")):
        world.publish(SOME)
        time.sleep(seconds)
        assert sum(world.view.counts().values()) == len(world.messages) - SOME
    assert world.live is not None
    assert world.live.process.poll() is None, world.live.said()
    recover(world)


def test_clock_jumps_an_hour_either_way(world: FaultWorld) -> None:
    clock = shifted(world)
    for jump in (HOUR, -HOUR):
        clock.set(jump)
        world.publish(SOME)
        world.caught_up(f"the clock is {jump} s off")
    clock.set(0)
    recover(world)


@pytest.mark.slow
def test_restart_and_batch_while_the_clock_is_an_hour_behind(world: FaultWorld) -> None:
    clock = shifted(world)
    for jump in (HOUR, -HOUR):
        clock.set(jump)
        world.restart()
        recover(world)
        backfill = world.backfill()
        assert backfill.end() == 0, backfill.said()
        world.check(f"the clock is {jump} s off")
    clock.set(0)
    recover(world)


def shifted(world: FaultWorld) -> ClockShift:
    """Its clock; skips the test where it has none."""
    if isinstance(world.clock, str):
        pytest.skip(world.clock)
    return world.clock


def test_disk_of_the_store_is_full(world: FaultWorld) -> None:
    disk = world.store_disk
    if isinstance(disk, str):
        pytest.skip(disk)
    disk.fill()
    world.publish(SOME * 5)
    time.sleep(3)
    disk.free()
    recover_or_start_again(world)


def test_disk_of_the_journal_is_full(world: FaultWorld) -> None:
    disk = world.journal_disk
    if isinstance(disk, str):
        pytest.skip(disk)
    disk.fill()
    world.publish(SOME * 5)
    live = world.live
    assert live is not None
    end = time.monotonic() + 3
    while not live.has_ended() and time.monotonic() < end:
        counted = sum(world.view.counts().values())
        assert counted <= len(world.stage.journaled()), "what is counted must be durable"
        # superseded files that live removes give some space back
        disk.fill()
        time.sleep(0.1)
    assert len(world.stage.journaled()) < len(world.messages), "the disk wasn't full"
    disk.free()
    recover_or_start_again(world)


def recover_or_start_again(world: FaultWorld) -> None:
    """Live may have ended by the fault, with one line that names the place, or may end now that it is over."""
    live = world.live
    assert live is not None
    world.publish(SOME)
    wait_for("the fault is over", lambda: world.has_caught_up() or live.has_ended())
    if live.has_ended():
        said = live.said()
        assert live.end() == 1, said
        assert said.count("error: ") == 1, said
        assert "Traceback" not in said
        last = said.splitlines()[-1]
        assert last.startswith("error: "), said
        assert "no room is left on the disk of" in last or "disk is full" in last, said
        assert str(world.stage.folder) in last, said
        world.up()
    world.caught_up("after the fault")


@contextmanager
def paused(world: FaultWorld) -> Iterator[Tandem]:
    """Live, asleep, but not within a transaction: SQLite's lock would be held for as long as it sleeps."""
    live = world.up()

    def asleep() -> bool:
        live.signal_group(signal.SIGSTOP)
        if world.stage.store_is_free():
            return True
        live.signal_group(signal.SIGCONT)
        time.sleep(0.1)
        return False

    wait_for("the store is free", asleep)
    try:
        yield live
    finally:
        if not live.has_ended():
            live.signal_group(signal.SIGCONT)


def test_of_two_live_runs_one_is_refused_or_fenced(world: FaultWorld) -> None:
    first, other = world.up(), world.stage.live([world.definition], *LIVE)
    wait_for("one of them ends", lambda: first.has_ended() or other.has_ended())
    if other.has_ended():
        assert other.end() == 2, other.said()
        assert "alive" in other.said()
        assert len(other.said().splitlines()) == 1, other.said()
    else:
        # on a machine where the first didn't get two seconds' turn
        check_fenced(first)
        world.live = other
    recover(world)


def test_a_run_that_wakes_after_another_took_over_is_fenced(world: FaultWorld) -> None:
    with paused(world) as first:
        world.live = world.stage.live([world.definition], *LIVE, "--take-over")
        recover(world)
    check_fenced(first)
    recover(world)


def check_fenced(first: Tandem) -> None:
    """It ends with its own exit code, and says why."""
    assert first.end() == 75, first.said()
    last = first.said().splitlines()[-1]
    assert "fenced" in last or "taken" in last or "sealed" in last, first.said()
    assert "Traceback" not in first.said()


def _more_than(world: FaultWorld, before: int) -> bool:
    return sum(world.view.counts().values()) > before


def test_sigterm_drains(world: FaultWorld) -> None:
    # a pull whose client has given up for lack of time may leave a lease behind: not three times
    for _ in range(3):
        before = len(world.messages)
        world.publish(SOME * 20)
        # in the middle of them
        wait_for("some of them", partial(_more_than, world, before))
        live = world.drain()
        assert live.end() == 0, live.said()
        assert "Traceback" not in live.said()
        wait_for("all that it started ends too", live.group_is_gone)
        journaled, waiting = world.stage.journaled(), world.waiting()
        assert not world.unsealed()
        assert sum(world.view.counts().values()) == len(journaled)
        leased = set(world.messages) - journaled - waiting
        world.up()
        recover(world)
        if not leased:
            break
    assert not leased, "neither in the journal nor free for the next reader"
    world.end()
