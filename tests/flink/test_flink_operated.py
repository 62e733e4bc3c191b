"""A Flink as those who operate it meet it: a job that gets no slots, one that stays on one machine."""

from __future__ import annotations

import sys

import pytest
from on_engines.flink_worlds import FlinkWorld
from processes.stages import wait_for

from tandem.runners.flink.jobs import JobView, view_of

pytestmark = [
    pytest.mark.xdist_group("flink"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def view(world: FlinkWorld) -> JobView:
    rest = world.cluster.rest
    return view_of(rest, rest.job(f"tandem-{world.run}"))


def test_a_job_that_gets_no_slots_is_refused_named_and_ended(world: FlinkWorld) -> None:
    refused = world.up(parallelism=8)
    assert refused.end() == 2
    assert "the job needs 8 slots, and Flink at" in refused.said().splitlines()[-1]
    live = world.up("--accept=slots", parallelism=8)
    wait_for("it is named", lambda: "waits for slots: it needs 8" in live.said() or live.has_ended())
    live.process.terminate()
    assert live.end() == 0, live.said()
    assert "it was ended as asked" in live.said()
    world.up()
    world.publish()
    world.caught_up()
    world.end()


@pytest.mark.parametrize("way", ["SIGTERM", "tandem stop", "tandem flink stop-job"])
def test_a_job_whose_task_manager_is_lost_for_good_is_named_and_ended(world: FlinkWorld, way: str) -> None:
    live = world.up(lanes=4, parallelism=4)
    world.publish()
    world.caught_up()
    run = world.run
    world.cluster.kill("task-manager-1")
    wait_for("it is named", lambda: "waits for slots: it needs 4, and Flink at" in live.said() or live.has_ended())
    (said,) = {line.partition("and Flink at ")[2] for line in live.said().splitlines() if "waits for slots" in line}
    assert " has 2, " in said
    if way == "SIGTERM":
        live.process.terminate()
    else:
        home = ("--home", str(world.cluster.home))
        words = ("stop", "--wait", "120s") if way == "tandem stop" else ("flink", "stop-job", run, *home)
        ending = world.stage.start(*words)
        assert ending.end() == 0, ending.said()
    assert live.end() == 0, live.said()
    world.repair()
    world.up()
    world.publish()
    world.caught_up()
    world.end()


def test_a_run_is_resumed_while_its_earlier_job_holds_all_slots(world: FlinkWorld) -> None:
    """Its launcher was killed; the job goes on, and is ended before the one that takes its place needs its slots."""
    live = world.up(lanes=4, parallelism=4)
    world.publish()
    world.caught_up()
    before = world.checkpoints()
    wait_for("a checkpoint", lambda: world.checkpoints() > before)
    run = world.run
    live.kill()
    assert view(world).works
    world.up("--resume", run, "--take-over", lanes=4, parallelism=4)
    world.publish()
    world.caught_up()
    assert world.run == run
    world.end()


def test_a_job_that_a_lost_task_manager_has_moved_is_named_and_spread(world: FlinkWorld) -> None:
    world.begin()
    live = world.live
    assert live is not None
    with world.fault("kill_task_manager, and it comes back later"):
        world.cluster.kill("task-manager-1")
        wait_for("all of it is on the other one", lambda: view(world).works and len(view(world).held) == 1)
        world.repair()
    wait_for("it is named", lambda: "is on 1 of 2 TaskManagers, and could be on 2" in live.said() or live.has_ended())
    run = world.run
    world.cluster.rest.savepoint(world.job, f"file://{world.stage.home}/flink/{run}", stop=True)
    assert live.end() == 0, live.said()
    world.up("--resume", run)
    world.publish()
    world.caught_up()
    assert len(view(world).held) == 2
    world.end()
