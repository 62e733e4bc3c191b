"""One hot tile on a Flink with two TaskManagers: both fold equally much of it, whatever keys are most wanted, and a run
that is stopped with a savepoint and resumed keeps its shards.
"""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from on_engines.flink_worlds import FlinkWorld
from processes.stages import wait_for
from samples import orders

from tandem.journal.runs.manifests import load_run

pytestmark = [
    pytest.mark.xdist_group("flink"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

ORDERS, SHOPS = 40_000, 1_000
WEIGHTS = 1 / np.arange(1, SHOPS + 1)
FOLDS = ("Fold", "Aggregate")
"""In names of Flink's vertices, of live and of a backfill."""


def hot_tile(seed: int, first: int, number: int) -> list[bytes]:
    """Orders of one tile of ten seconds; shops by Zipf's law."""
    chance = random.Random(seed)
    shops = chance.choices([f"shop {seed} {n}" for n in range(SHOPS)], WEIGHTS.tolist(), k=number)
    return [orders.order(first + n, orders.START + n % 9 * orders.SECOND, shop) for n, shop in enumerate(shops)]


def bytes_by_task_manager(world: FlinkWorld, job: str) -> dict[str, int]:
    """What each TaskManager's subtasks of the fold have read."""
    found: dict[str, int] = {}
    for vertex in world.cluster.rest.get(f"/jobs/{job}")["vertices"]:
        if not any(name in vertex["name"] for name in FOLDS):
            continue
        for subtask in world.cluster.rest.get(f"/jobs/{job}/vertices/{vertex['id']}")["subtasks"]:
            manager = subtask["taskmanager-id"]
            found[manager] = found.get(manager, 0) + subtask["metrics"]["read-bytes"]
    return found


def evenness(found: dict[str, int], what: str, capsys: pytest.CaptureFixture[str]) -> float:
    assert len(found) == 2, found
    with capsys.disabled():
        total = sum(found.values())
        print(f"\n{what}: " + ", ".join(f"{100 * n / total:.1f} %" for n in found.values()) + f" of {total:,} bytes")
    return min(found.values()) / max(found.values())


@pytest.mark.parametrize("seed", [3, 11])
def test_both_task_managers_fold_equally_much(world: FlinkWorld, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    world.bench.publish(hot_tile(seed, 0, ORDERS // 2))
    live = world.up("--shards=8", "--max-messages=2000")
    world.bench.until_counted(world.definition, live)
    world.bench.publish(hot_tile(seed, ORDERS // 2, ORDERS // 2))
    world.bench.until_counted(world.definition, live)
    assert evenness(bytes_by_task_manager(world, world.job), f"live, shops of seed {seed}", capsys) >= 0.8
    run = world.run
    world.cluster.rest.savepoint(world.job, f"file://{world.stage.home}/flink/{run}", stop=True)
    assert live.end() == 0, live.said()
    assert load_run(world.stage.blobs, run).shards == 8
    world.up("--resume", run, "--shards=8")
    world.publish()
    world.caught_up()
    assert load_run(world.stage.blobs, run).shards == 8
    wait_for("the fold has read", lambda: sum(bytes_by_task_manager(world, world.job).values()))
    world.bench.check(world.definition)
    world.end()
