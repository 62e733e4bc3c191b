"""Guarantee 3 on Flink: its processes are killed, paused and doubled. Lost 0, counted twice 0, by SQL over raw orders.

`make flink-faults` runs all of it; `make test` what isn't slow.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from on_engines.flink_worlds import FlinkWorld, flink_world
from processes.ports import free_port, is_open
from processes.stages import wait_for

from tandem.runners.flink.cluster import Cluster

pytestmark = [
    pytest.mark.xdist_group("flink"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture
def world(stage: Any, flink: Cluster, capsys: pytest.CaptureFixture[str]) -> Iterator[FlinkWorld]:
    """Live runs on Flink."""
    with flink_world(stage, flink) as made:
        made.begin()
        yield made
        with capsys.disabled():
            for what, seconds in made.recoveries.items():
                print(f"\n{what}: {seconds:.1f} s to a fresh answer; lost 0, twice 0, falls 0")


def kill_task_manager(world: FlinkWorld) -> None:
    """The other one has room."""
    world.cluster.kill("task-manager-1")


def kill_both_task_managers(world: FlinkWorld) -> None:
    """Somebody starts them again."""
    for name in ("task-manager-1", "task-manager-2"):
        world.cluster.kill(name)
    world.repair()


def kill_worker(world: FlinkWorld) -> None:
    """The busiest of the pool's."""
    os.kill(world.workers()[0].pid, signal.SIGKILL)


def kill_all_workers(world: FlinkWorld) -> None:
    """And the pool goes on."""
    for worker in world.workers():
        os.kill(worker.pid, signal.SIGKILL)


def kill_pool(world: FlinkWorld) -> None:
    """Its workers live on until somebody needs another."""
    world.cluster.kill("worker-pool")
    world.repair()


def kill_pool_with_workers(world: FlinkWorld) -> None:
    """Nobody can start workers for some seconds."""
    workers = world.workers()
    world.cluster.kill("worker-pool")
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    time.sleep(3)
    world.repair()


def kill_job_server(world: FlinkWorld) -> None:
    """The job doesn't need it, nor does its launcher."""
    world.cluster.kill("job-server")


FAULTS = (
    kill_task_manager,
    kill_both_task_managers,
    kill_worker,
    kill_all_workers,
    kill_pool,
    kill_pool_with_workers,
    kill_job_server,
)


def test_short_form(world: FlinkWorld) -> None:
    """A second copy of the job, a worker killed, a TaskManager killed, one after the other."""
    start_second_copy(world)
    for happen in (kill_worker, kill_task_manager):
        with world.fault(happen.__name__):
            happen(world)
    check_source_states(world)
    world.end()


def check_source_states(world: FlinkWorld) -> None:
    """At the most as many as lanes, not as bundles: Flink never forgets a name, see `flink_source_state`."""
    before = world.checkpoints()
    world.publish()
    wait_for("another checkpoint", lambda: world.checkpoints() > before)
    assert 1 <= len(world.source_states()) <= 2


def start_second_copy(world: FlinkWorld) -> None:
    """It ends with one line, and the first goes on."""
    first = world.live
    second = world.up()
    assert second.end() == 2, second.said()
    assert "alive" in second.said().splitlines()[-1]
    world.live = first


@pytest.mark.slow
@pytest.mark.parametrize("happen", [pytest.param(happen, id=happen.__name__) for happen in FAULTS])
def test_killed(world: FlinkWorld, happen: Callable[[FlinkWorld], None]) -> None:
    with world.fault(happen.__name__):
        happen(world)
    world.repair()
    world.publish()
    world.caught_up()
    world.end()


def resume(world: FlinkWorld, *flags: str, **options: int) -> None:
    """Go on with the run from its newest checkpoint or savepoint."""
    before, job = world.run, world.job_or_none()
    world.up("--resume", before, *flags, **options)
    wait_for("its own job runs", lambda: world.job_or_none() not in (None, job))
    world.publish()
    world.caught_up()
    assert world.run == before


@pytest.mark.slow
def test_job_manager_killed(world: FlinkWorld) -> None:
    """Its jobs are gone with it; the run goes on from the checkpoint that was kept."""
    assert world.live is not None
    with world.fault("kill_job_manager"):
        world.cluster.kill("job-manager")
        world.live.kill()
        world.repair()
        resume(world, "--take-over")
    world.end()


@pytest.mark.slow
@pytest.mark.parametrize("parallelism", [pytest.param(1, id="fewer"), pytest.param(4, id="more")])
def test_stopped_with_a_savepoint(world: FlinkWorld, parallelism: int) -> None:
    """And resumed with its lanes on another number of workers."""
    live = world.live
    assert live is not None
    with world.fault(f"savepoint, then parallelism {parallelism}"):
        world.cluster.rest.savepoint(world.job, f"file://{world.stage.home}/flink/{world.run}", stop=True)
        live.end()
        assert "Traceback" not in live.said()
        world.publish()
        resume(world, parallelism=parallelism)
    world.end()


@pytest.mark.slow
def test_resumed_beside_itself(world: FlinkWorld) -> None:
    """A copy from the same checkpoint, while the first still runs, takes the lanes over; the first is fenced."""
    first = world.live
    assert first is not None
    with world.fault("resumed beside itself"):
        resume(world, "--take-over")
    assert first.end() == 75, first.said()
    assert "Traceback" not in first.said()
    world.end()


@pytest.fixture
def beams_pool() -> Iterator[str]:
    """Address of Beam's own pool, which all TaskManagers share."""
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts whatever `python` comes first
    with subprocess.Popen(command, env={**os.environ, "PATH": path}, start_new_session=True) as pool:
        try:
            wait_for("the pool listens", lambda: is_open(port))
            yield f"localhost:{port}"
        finally:
            os.killpg(pool.pid, signal.SIGKILL)


@pytest.mark.slow
def test_launcher_killed_and_resumed_on_beams_own_pool(world: FlinkWorld, beams_pool: str) -> None:
    """It would take workers of the job that is replaced for those of the new one, were they to run side by side."""
    for what in ("to Beam's own pool", "kill_launcher, Beam's own pool", "kill_launcher again, Beam's own pool"):
        assert world.live is not None
        with world.fault(what):
            world.live.kill()
            resume(world, "--take-over", f"--environment_config={beams_pool}")
    world.end()


@pytest.mark.slow
def test_another_run_takes_over(world: FlinkWorld) -> None:
    """Of two jobs on one Flink the older is fenced and ends."""
    first = world.live
    assert first is not None
    with world.fault("take over"):
        world.up("--take-over")
    assert first.end() == 75, first.said()
    assert "Traceback" not in first.said()
    world.end()


@pytest.mark.slow
def test_worker_wakes_after_its_replacement_has_written(world: FlinkWorld) -> None:
    """Its TaskManager is dead by then, and others have its lane: what it does is fenced."""
    workers = world.workers()[:2]
    with world.fault("paused workers"):
        for worker in workers:
            world.pause(worker)
        for name in ("task-manager-1", "task-manager-2"):
            world.cluster.kill(name)
        world.repair()
    for worker in workers:
        if worker.alive:
            os.kill(worker.pid, signal.SIGCONT)
    world.publish()
    wait_for("they end", lambda: not any(worker.alive for worker in workers))
    world.caught_up()
    world.publish_batch()
    world.end()


@pytest.mark.slow
def test_task_manager_wakes_after_its_replacement_has_written(world: FlinkWorld) -> None:
    """It was taken for dead, and its workers, which weren't paused, went on meanwhile."""
    paused = world.cluster.parts()["task-manager-1"].process
    assert paused is not None
    with world.fault("paused task manager"):
        world.pause(paused)
        time.sleep(12)
    os.kill(paused.pid, signal.SIGCONT)
    world.publish()
    world.caught_up()
    world.publish_batch()
    world.end()
