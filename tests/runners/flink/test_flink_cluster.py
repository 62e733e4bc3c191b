"""A real Flink of several processes: started, looked at, repaired, stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_engines.flink_fixtures import flink_jars

from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.processes import processes_of
from tandem.schemas.errors import LaunchError

__all__ = ["flink_jars"]

pytestmark = pytest.mark.xdist_group("flink")

PARTS = ["job-manager", "task-manager-1", "worker-pool", "job-server"]


def tandem(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tandem", "flink", arguments[0], "--home", str(home), *arguments[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture(scope="module")
def home(flink_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a small cluster; whatever of it is left at the end is killed."""
    folder = tmp_path_factory.mktemp("cluster") / "home"
    try:
        yield folder
    finally:
        if (folder / "cluster.json").exists():
            Cluster.at(folder).stop(grace=1)


def test_a_cluster_from_start_to_stop(home: Path) -> None:
    """In one test, since a start takes seconds."""
    assert "no Flink was started there" in tandem(home, "status").stderr

    started = tandem(home, "start", "--task-managers", "1", "--slots", "3")
    assert started.returncode == 0, started.stderr
    cluster = Cluster.at(home)
    assert all(f"{name}: process " in started.stderr for name in PARTS)
    assert f"--job_endpoint=127.0.0.1:{cluster.settings.job_port}" in started.stdout
    assert cluster.rest.overview()["slots-total"] == 3
    assert cluster.rest.version() == "1.19.3"
    pids = {name: part.process.pid for name, part in cluster.parts().items() if part.process}
    assert list(pids) == PARTS

    refused = tandem(home, "start", "--slots", "4")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "runs there with slots 3, and 4 was asked for; `tandem flink stop` ends it" in refused.stderr

    for name in ("worker-pool", "task-manager-1"):
        cluster.kill(name)
    with pytest.raises(LaunchError, match="worker-pool isn't running"):
        cluster.kill("worker-pool", signal.SIGTERM)
    with pytest.raises(LaunchError, match="there is no part 'zookeeper'; parts are job-manager, "):
        cluster.kill("zookeeper")
    status = tandem(home, "status", "--json")
    assert status.returncode == 1
    assert "worker-pool: dead; `tandem flink start` starts it again" in status.stderr
    alive = {name: part["alive"] for name, part in json.loads(status.stdout)["parts"].items()}
    assert alive == {"job-manager": True, "task-manager-1": False, "worker-pool": False, "job-server": True}

    assert tandem(home, "start").returncode == 0
    repaired = {name: part.process.pid for name, part in cluster.parts().items() if part.process and part.alive}
    assert {name for name in PARTS if repaired[name] != pids[name]} == {"worker-pool", "task-manager-1"}
    assert tandem(home, "status").returncode == 0

    stopped = tandem(home, "stop")
    assert stopped.stdout == f"stopped {', '.join(PARTS)}\n", stopped.stderr
    assert not list(processes_of(f"{home}/"))
    assert not (home / "tmp").exists()
    assert tandem(home, "stop").returncode == 2
