"""`tandem flink status`, `savepoint` and `stop-job`, over a REST interface that answers as Flink 1.19 does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.runners.flink import cluster as flink_cluster
from tandem.runners.flink.config import Settings
from tandem.runners.flink.rest import FlinkRest
from tandem.schemas.errors import LaunchError, TandemError

MASTER = "127.0.0.1:7001"
BATCH = {"jid": "b1" * 16, "name": "BeamApp-1", "state": "FINISHED", "start-time": 1_795_918_115_759}
LIVE = {"jid": "a1" * 16, "name": "tandem-000001-5f", "state": "RUNNING", "start-time": 1_795_918_219_863}
CHECKPOINT = "file:/home/flink/000001-5f/a1/chk-7"


def details(kind: str, parallelism: int, state: str) -> dict[str, Any]:
    return {"plan": {"type": kind}, "vertices": [{"parallelism": parallelism, "tasks": {state: parallelism}}]}


@pytest.fixture
def flink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two TaskManagers of two slots, a live job on one of them, and a backfill that has ended. All else is refused."""
    settings = Settings(rest_port=7001, rpc_port=2, job_port=3, artifact_port=4, pool_port=5)
    flink_cluster._write(tmp_path, settings, {})
    monkeypatch.setenv("TANDEM_FLINK_HOME", str(tmp_path))
    answers: dict[str, Any] = {
        "/jobs/overview": {"jobs": [BATCH, LIVE]},
        f"/jobs/{BATCH['jid']}": details("BATCH", 2, "FINISHED"),
        f"/jobs/{LIVE['jid']}": details("STREAMING", 2, "RUNNING"),
        f"/jobs/{LIVE['jid']}/checkpoints": {"latest": {"completed": {"external_path": CHECKPOINT}}},
        f"/jobs/{LIVE['jid']}/config": {},
        "/overview": {"slots-total": 4, "slots-available": 2},
        "/taskmanagers": {"taskmanagers": [{"id": "tm1", "freeSlots": 0}, {"id": "tm2", "freeSlots": 2}]},
        "/taskmanagers/tm1": {"allocatedSlots": [{"jobId": LIVE["jid"]}] * 2},
        "/taskmanagers/tm2": {"allocatedSlots": []},
        "cancelled": [],
    }

    def get(self: FlinkRest, path: str) -> Any:
        if path not in answers:
            raise TandemError(f"Flink at {self.address} refused GET {path}: Checkpointing has not been enabled.")
        return answers[path]

    monkeypatch.setattr(FlinkRest, "get", get)
    monkeypatch.setattr(FlinkRest, "cancel", lambda self, job: answers["cancelled"].append(job))
    monkeypatch.setattr(FlinkRest, "savepoint", lambda self, job, folder, stop: f"file:/savepoint-{job[:4]}")
    return answers


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flink", *arguments])


def test_each_job_is_shown_with_what_is_known_of_it(flink: dict[str, Any]) -> None:
    """A bounded job's checkpoints can't be asked for."""
    lines = [line.strip() for line in run("status").stdout.splitlines()]
    assert f"job {LIVE['jid']}  RUNNING    tandem-000001-5f" in lines
    assert f"unbounded, since 2026-11-29T02:10:19Z, parallelism 2, checkpoint {CHECKPOINT}" in lines
    assert f"job {BATCH['jid']}  FINISHED   BeamApp-1" in lines
    assert "bounded, since 2026-11-29T02:08:35Z, parallelism 2" in lines


def test_a_job_on_one_machine_is_shown_with_what_spreads_it(flink: dict[str, Any]) -> None:
    crowded = "is on 1 of 2 TaskManagers, and could be on 2"
    stop = f"tandem flink stop-job 000001-5f --flink-master {MASTER}"
    assert f"{crowded}; `{stop}`, then `tandem live ... --resume 000001-5f` spreads it again" in run("status").stdout


def test_names_that_others_gave_their_jobs_steer_no_terminal_and_no_shell(flink: dict[str, Any]) -> None:
    name = "tandem-\x1b]0;pwned\x07\u202e; rm -rf ~"
    flink["/jobs/overview"] = {"jobs": [BATCH, {**LIVE, "name": name}]}
    for words in (("status",), ("status", "--json"), ("savepoint", "x"), ("stop-job", "x")):
        result = run(*words)
        said = result.stdout + result.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(said), said
        if words == ("status",):
            assert "tandem-\\x1b]0;pwned\\x07\\u202e; rm -rf ~" in said
            assert "stop-job '\\x1b]0;pwned\\x07\\u202e; rm -rf ~' --flink-master" in said


def test_as_json(flink: dict[str, Any]) -> None:
    told = json.loads(run("status", "--json").stdout)
    live, batch = told["jobs"]
    assert live | {"crowded": None} == {
        "id": LIVE["jid"],
        "name": "tandem-000001-5f",
        "state": "RUNNING",
        "kind": "unbounded",
        "since": 1_795_918_219_863_000,
        "parallelism": 2,
        "checkpoint": CHECKPOINT,
        "task_managers": {"tm1": 2},
        "waits": None,
        "crowded": None,
    }
    assert (batch["kind"], batch["checkpoint"], told["jobs_unknown"]) == ("bounded", None, None)


def test_without_a_jobmanager_it_says_that_jobs_are_not_known(
    flink: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(self: FlinkRest, path: str) -> Any:
        raise LaunchError(f"no Flink JobManager answers at {self.address}")

    monkeypatch.setattr(FlinkRest, "get", nobody)
    assert f"jobs aren't known: no Flink JobManager answers at {MASTER}" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["jobs_unknown"]


def _restarting(answers: dict[str, Any]) -> None:
    answers["/jobs/overview"] = {"jobs": [{**LIVE, "state": "RESTARTING"}]}


def _without_slots(answers: dict[str, Any]) -> None:
    answers[f"/jobs/{LIVE['jid']}"] = details("STREAMING", 8, "SCHEDULED")


def _bounded(answers: dict[str, Any]) -> None:
    answers["/jobs/overview"] = {"jobs": [{**BATCH, "state": "RUNNING"}]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(_without_slots, "waits for slots: it needs 8, and Flink at", id="no-slots"),
        pytest.param(_restarting, "was RESTARTING", id="restarting"),
        pytest.param(_bounded, "is bounded", id="bounded"),
    ],
)
def test_a_job_that_can_write_no_savepoint_is_cancelled(
    change: Callable[[dict[str, Any]], None], why: str, flink: dict[str, Any]
) -> None:
    change(flink)
    done = run("stop-job")
    assert done.exit_code == 0, done.output
    assert len(flink["cancelled"]) == 1
    assert f"{why}" in done.stderr
    assert "it can't write a savepoint, and was cancelled" in done.stderr


def test_a_job_that_runs_is_stopped_with_a_savepoint(flink: dict[str, Any]) -> None:
    done = run("stop-job", "000001-5f")
    assert (done.exit_code, done.stdout) == (0, "file:/savepoint-a1a1\n")
    assert "--resume 000001-5f goes on from it" in done.stderr
    assert not flink["cancelled"]
