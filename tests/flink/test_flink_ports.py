"""Where the processes of a Flink listen, and the runs on it: at loopback, workers' services among them."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from processes.listening import Looking
from samples.click_traffic import CLICKS, in_order

from tandem.runners.flink.cluster import Cluster

pytestmark = [
    pytest.mark.xdist_group("flink"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(900),
]
IDLE = {"job-manager": 4, "task-manager": 3, "worker-pool": 1, "job-server": 3}
"""How much listens in each part without a job."""


@pytest.mark.parametrize("environment", [pytest.param("EXTERNAL", marks=pytest.mark.slow), "LOOPBACK"])
def test_a_cluster_and_a_job_on_it(stage: Any, flink: Cluster, tmp_path: Path, environment: str) -> None:
    clicks = [json.loads(message) for message in in_order(random.Random(1), 500)]
    (tmp_path / "clicks.jsonl").write_text("".join(json.dumps(click) + "\n" for click in clicks))
    parts = {name: part.process.pid for name, part in flink.parts().items() if part.process}
    with Looking(*parts.values()) as cluster:
        flags = ["--files", f"{tmp_path}/clicks.jsonl", *flink.flags(environment)]
        backfill = stage.start("backfill", "--definition", str(CLICKS), *flags)
        with Looking(backfill.process.pid) as launcher:
            assert backfill.end() == 0, backfill.said()
    assert not cluster.wrong
    assert not launcher.wrong
    assert bool(launcher.seen) is (environment == "LOOPBACK")
    listen = {name: sum(one.pid == pid for one in cluster.seen) for name, pid in parts.items()}
    for name, number in listen.items():
        assert number >= IDLE[name.rstrip("-0123456789")], listen
    managers = [number for name, number in listen.items() if name.startswith("task-manager")]
    assert max(managers) >= IDLE["task-manager"] + 4, "services of workers"
