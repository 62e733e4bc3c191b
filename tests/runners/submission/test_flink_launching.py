"""What is added to the flags of a pipeline on Flink, and what is never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.runners.flink import cluster as flink_cluster
from tandem.runners.flink import jars as flink_jars
from tandem.runners.flink import rest as flink_rest
from tandem.runners.flink.config import Settings
from tandem.runners.options.reading import read_arguments
from tandem.runners.plan.launch import flag_values
from tandem.runners.submission.flags import LIVE_DEFAULTS, arranged
from tandem.runners.submission.remote_runs import job_name
from tandem.schemas.errors import LaunchError

FREE_SLOTS = 3
ENDPOINT = ("--runner=FlinkRunner", "--job_endpoint=127.0.0.1:7", "--flink_master=127.0.0.1:8")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JobManager of Flink 1.19 answers at any address but that of port 1."""

    def get(self: flink_rest.FlinkRest, path: str) -> Any:
        if self.address.endswith(":1"):
            raise LaunchError("nobody answers")
        if self.address.endswith(":20") and path == "/config":
            return {"flink-version": "2.0.1"}
        return {"/config": {"flink-version": "1.19.3"}, "/overview": {"slots-available": FREE_SLOTS}}[path]

    monkeypatch.setattr(flink_rest.FlinkRest, "get", get)
    jars = flink_jars.Jars(Path("/flink"), Path("/beam"), Path("/job-server.jar"))
    monkeypatch.setattr(flink_jars, "provide", lambda: jars)


def added(pipeline: str, *arguments: str) -> Mapping[str, str | None]:
    given = read_arguments(pipeline, arguments)
    found = arranged(given)
    assert found.beam[: len(given.beam)] == given.beam
    more = {name: found[name] for name in found.texts if not given.has(name)}
    return {**flag_values(found.beam[len(given.beam) :]), **more}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="none"),
        pytest.param(("--runner=DirectRunner", "--lanes", "2"), id="direct"),
        pytest.param(("--runner", "DataflowRunner"), id="dataflow"),
    ],
)
def test_other_runners_are_left_alone(arguments: tuple[str, ...]) -> None:
    given = read_arguments("live", arguments)
    assert arranged(given) == given


def test_live_gets_all_defaults() -> None:
    found = added("live", *ENDPOINT)
    assert {name: found[name] or "" for name in LIVE_DEFAULTS} == dict(LIVE_DEFAULTS)
    assert found["parallelism"] == "1"
    assert found["environment_type"] == "LOOPBACK"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        pytest.param("--checkpointing_interval=1000", "checkpointing_interval", id="interval"),
        pytest.param("--object_reuse", "object_reuse", id="without-value"),
        pytest.param("--parallelism=7", "parallelism", id="parallelism"),
        pytest.param("--environment_type=DOCKER", "environment_type", id="environment"),
    ],
)
def test_what_is_given_stays(given: str, name: str) -> None:
    assert name not in added("live", *ENDPOINT, given)


@pytest.mark.parametrize(
    ("arguments", "parallelism"),
    [
        pytest.param(("--lanes=2",), "2", id="as-many-as-lanes"),
        pytest.param(("--lanes", "9"), str(FREE_SLOTS), id="as-many-as-slots"),
        pytest.param((), "1", id="one-lane"),
    ],
)
def test_parallelism_of_live(arguments: tuple[str, ...], parallelism: str) -> None:
    assert added("live", *ENDPOINT, *arguments)["parallelism"] == parallelism


@pytest.mark.parametrize(
    ("state", "owner", "more", "parallelism"),
    [
        pytest.param("RUNNING", "own", (), "7", id="an-earlier-job"),
        pytest.param("RESTARTING", "own", (), "7", id="one-that-is-restarted"),
        pytest.param("CANCELED", "own", (), "3", id="one-that-has-ended"),
        pytest.param("RUNNING", "other", (), "3", id="another-job"),
        pytest.param("RUNNING", "own", ("--follow",), "3", id="a-follower-ends-none"),
    ],
)
def test_slots_of_jobs_that_it_ends_are_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, owner: str, more: tuple[str, ...], parallelism: str
) -> None:
    """What runs of its home still hold is given back before its job begins."""
    run = start_run(LocalBlobs(tmp_path / "journal"), SystemClock(), lanes=9, subscription="projects/p/subscriptions/s")
    name = job_name(run.id) if owner == "own" else "tandem-000001-0000000000000000"
    answers = {
        "/overview": {"slots-available": FREE_SLOTS},
        "/config": {"flink-version": "1.19.3"},
        "/jobs/overview": {"jobs": [{"jid": "aa", "name": name, "state": state, "start-time": 1}]},
        "/taskmanagers": {"taskmanagers": [{"id": "tm0", "freeSlots": 0}, {"id": "tm1", "freeSlots": FREE_SLOTS}]},
        "/taskmanagers/tm0": {"allocatedSlots": [{"jobId": "aa"}] * 4},
        "/taskmanagers/tm1": {"allocatedSlots": []},
    }
    monkeypatch.setattr(flink_rest.FlinkRest, "get", lambda self, path: answers[path])
    found = added("live", *ENDPOINT, "--home", str(tmp_path), "--lanes=9", *more)
    assert found["parallelism"] == parallelism


def test_without_checkpoints_nothing_is_said_about_them() -> None:
    found = added("live", *ENDPOINT, "--checkpointing_interval=-1")
    assert not [name for name in found if "checkpoint" in name]
    assert "object_reuse" in found


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(ENDPOINT, {"scratch"}, id="here"),
        pytest.param(
            ("--runner=FlinkRunner", "--job_endpoint=far:7", "--flink_master=127.0.0.1:8"), set(), id="elsewhere"
        ),
    ],
)
def test_backfill_gets_scratch_where_all_is_on_this_machine(arguments: tuple[str, ...], expected: set[str]) -> None:
    found = added("backfill", *arguments)
    assert {"scratch"} & set(found) == expected
    assert "checkpointing_interval" not in found
    assert int(found["parallelism"] or 0) == min(FREE_SLOTS, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("master", "expected"),
    [
        pytest.param("127.0.0.1:8", {"flink_version": "1.19", "flink_job_server_jar": "/job-server.jar"}, id="fits"),
        pytest.param("[local]", {"flink_version": "1.19", "flink_job_server_jar": "/job-server.jar"}, id="embedded"),
        pytest.param("127.0.0.1:20", {"flink_version": "2.0"}, id="of-beam"),
    ],
)
def test_a_job_server_that_fits(master: str, expected: dict[str, str]) -> None:
    found = added("live", "--runner=FlinkRunner", f"--flink_master={master}")
    assert {name: found.get(name) for name in expected} == expected
    assert ("flink_job_server_jar" in found) == ("flink_job_server_jar" in expected)


def test_a_job_server_of_the_users_own() -> None:
    found = added("live", "--runner=FlinkRunner", "--flink_master=127.0.0.1:8", "--flink_job_server_jar=/mine.jar")
    assert "flink_job_server_jar" not in found


def test_nobody_at_the_master() -> None:
    with pytest.raises(LaunchError, match="nobody answers"):
        arranged(read_arguments("live", ["--runner=FlinkRunner", "--flink_master=127.0.0.1:1"]))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> flink_cluster.Cluster:
    monkeypatch.setenv("TANDEM_FLINK_HOME", str(tmp_path))
    settings = Settings(rest_port=8081, rpc_port=2, job_port=3, artifact_port=4, pool_port=5)
    flink_cluster._write(tmp_path, settings, {})
    return flink_cluster.Cluster.at()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(["--runner", "flink", "--lanes", "2"], "EXTERNAL", id="pool"),
        pytest.param(["--runner=flink", "--environment_type=LOOPBACK", "--lanes=2"], "LOOPBACK", id="loopback"),
    ],
)
def test_the_own_cluster(
    arguments: list[str], environment: str, cluster: flink_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flink_cluster.Part, "alive", True)
    found = flag_values(arranged(read_arguments("live", arguments)).beam)
    assert found["runner"] == "FlinkRunner"
    assert found["job_endpoint"] == "127.0.0.1:3"
    assert found["flink_master"] == "127.0.0.1:8081"
    assert found["environment_type"] == environment
    assert found.get("environment_config") == ("127.0.0.1:5" if environment == "EXTERNAL" else None)
    assert found["parallelism"] == "2"


def test_the_own_cluster_is_dead(cluster: flink_cluster.Cluster) -> None:
    with pytest.raises(LaunchError, match=r"job-manager, .* is dead; `tandem flink start` starts it"):
        arranged(read_arguments("live", ["--runner", "flink"]))


def test_no_own_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_FLINK_HOME", str(tmp_path))
    with pytest.raises(LaunchError, match="no Flink was started there; `tandem flink start` does it"):
        arranged(read_arguments("live", ["--runner", "flink"]))


def state(folder: Path, name: str, content: str, modified: int) -> None:
    path = folder / name / "_metadata"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    os.utime(path, (modified, modified))


def test_a_resumption_starts_from_the_newest_whole_state(tmp_path: Path) -> None:
    folder = tmp_path / "flink" / "000001-ab"
    state(folder, "job1/chk-7", "x", 100)
    state(folder, "savepoint-1", "x", 200)
    state(folder, "job2/chk-1", "", 300)
    (folder / "job2/chk-2").mkdir()
    found = added("live", *ENDPOINT, "--home", str(tmp_path), "--resume", "000001-ab")
    assert found["savepoint_path"] == (folder / "savepoint-1").as_uri()
    given = "--savepoint_path=file:///elsewhere"
    assert "savepoint_path" not in added("live", *ENDPOINT, "--home", str(tmp_path), "--resume", "000001-ab", given)


def test_a_resumption_has_the_lanes_of_its_run(tmp_path: Path) -> None:
    run = start_run(
        LocalBlobs(str(tmp_path / "journal")), SystemClock(), lanes=2, subscription="projects/p/subscriptions/s"
    )
    state(tmp_path / "flink" / run.id, "savepoint-1", "x", 200)
    assert added("live", *ENDPOINT, f"--home={tmp_path}", f"--resume={run.id}")["parallelism"] == "2"


def test_a_resumption_without_any_state(tmp_path: Path) -> None:
    with pytest.raises(
        LaunchError, match=r"--resume 000001-ab: there is no savepoint or checkpoint in .*replays the journal"
    ):
        arranged(read_arguments("live", [*ENDPOINT, "--home", str(tmp_path), "--resume", "000001-ab"]))
