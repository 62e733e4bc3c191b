"""What is known of each job of a Flink, as its REST interface tells it."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.runners.flink.jobs import JobView, run_of, to_end, to_spread, view_of
from tandem.runners.flink.rest import FlinkRest, Job
from tandem.schemas.errors import TandemError

ADDRESS = "127.0.0.1:8081"
LIVE = Job("aa", "tandem-000001-5f", "RUNNING", 1_000)


def details(kind: str, parallelism: int, *states: str) -> dict[str, Any]:
    tasks = {state: states.count(state) for state in ("RUNNING", "SCHEDULED", "FINISHED", "CANCELED")}
    steps = [{"parallelism": 1, "tasks": {"FINISHED": 1}}, {"parallelism": parallelism, "tasks": tasks}]
    return {"plan": {"type": kind}, "vertices": steps}


def asked(monkeypatch: pytest.MonkeyPatch, job: Job, answers: dict[str, Any], *managers: tuple[int, int]) -> JobView:
    """The view of a job; `managers`: (slots of this job, free slots) of each TaskManager. All else is refused."""
    listed = [{"id": f"tm{at}", "freeSlots": free} for at, (_, free) in enumerate(managers)]
    free = sum(free for _, free in managers)
    total = free + sum(own for own, _ in managers)
    known = {
        "/overview": {"slots-total": total, "slots-available": free},
        "/taskmanagers": {"taskmanagers": listed},
        **answers,
    }
    for at, (own, _) in enumerate(managers):
        known[f"/taskmanagers/tm{at}"] = {"allocatedSlots": [{"jobId": job.id}] * own}

    def get(self: FlinkRest, path: str) -> Any:
        if path not in known:
            raise TandemError(f"refused GET {path}: HTTP 404")
        return known[path]

    monkeypatch.setattr(FlinkRest, "get", get)
    return view_of(FlinkRest(ADDRESS), job)


def test_a_bounded_job_has_no_checkpoints_to_tell_of(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("bb", "BeamApp-1", "FINISHED", 5)
    view = asked(monkeypatch, job, {"/jobs/bb": details("BATCH", 2, "FINISHED")}, (0, 2))
    assert (view.kind, view.parallelism, view.checkpoint, view.waits, view.crowded) == ("bounded", 2, None, None, None)
    assert run_of(job) is None


@pytest.mark.parametrize(
    ("latest", "path"),
    [
        pytest.param(
            {"completed": {"external_path": "file:/a"}, "restored": {"external_path": "file:/b"}}, "file:/a", id="own"
        ),
        pytest.param({"completed": None, "restored": {"external_path": "file:/b"}}, "file:/b", id="restored"),
        pytest.param({"completed": {"external_path": "<checkpoint-not-externally-addressable>"}}, None, id="not-kept"),
        pytest.param(None, None, id="none"),
    ],
)
def test_the_newest_checkpoint(latest: Any, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/jobs/aa": details("STREAMING", 2, "RUNNING"), "/jobs/aa/checkpoints": {"latest": latest}}
    assert asked(monkeypatch, LIVE, answers, (1, 1), (1, 1)).checkpoint == path


@pytest.mark.parametrize("answers", [{}, {"/jobs/aa": {}}, {"/jobs/aa": {"vertices": [], "plan": None}}])
def test_what_nobody_says_is_unknown(answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    view = asked(monkeypatch, LIVE, answers)
    assert (view.kind, view.parallelism, view.checkpoint, view.waits, view.crowded) == (None, None, None, None, None)


@pytest.mark.parametrize(
    ("state", "parallelism", "tasks", "managers", "waits"),
    [
        pytest.param(
            "RUNNING",
            8,
            ["SCHEDULED"],
            [(0, 2), (0, 2)],
            "waits for slots: it needs 8, and Flink at 127.0.0.1:8081 has 4, 4 of them free",
            id="more-than-there-are",
        ),
        pytest.param(
            "RESTARTING",
            4,
            ["CANCELED"],
            [(2, 0)],
            "waits for slots: it needs 4, and Flink at 127.0.0.1:8081 has 2, 0 of them free and 2 held by it",
            id="a-task-manager-is-lost",
        ),
        pytest.param(
            "RUNNING",
            1,
            ["SCHEDULED"],
            [],
            "waits for slots: it needs 1, and Flink at 127.0.0.1:8081 has 0, 0 of them free",
            id="no-task-manager",
        ),
        pytest.param("RUNNING", 4, ["SCHEDULED"], [(2, 0), (0, 2)], None, id="begins"),
        pytest.param("RUNNING", 4, ["RUNNING"], [(2, 0), (2, 0)], None, id="runs"),
        pytest.param("CANCELED", 8, ["CANCELED"], [(0, 2)], None, id="has-ended"),
    ],
)
def test_slots_that_are_missing(
    state: str,
    parallelism: int,
    tasks: list[str],
    managers: list[tuple[int, int]],
    waits: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job("aa", LIVE.name, state, 1)
    assert asked(monkeypatch, job, {"/jobs/aa": details("STREAMING", parallelism, *tasks)}, *managers).waits == waits


@pytest.mark.parametrize(
    ("kind", "parallelism", "managers", "crowded"),
    [
        pytest.param("STREAMING", 2, [(2, 0), (0, 2)], "is on 1 of 2 TaskManagers, and could be on 2", id="all-on-one"),
        pytest.param("STREAMING", 3, [(2, 0), (0, 0), (1, 1)], None, id="no-room-elsewhere"),
        pytest.param("STREAMING", 2, [(1, 1), (1, 1)], None, id="spread"),
        pytest.param("STREAMING", 1, [(1, 1), (0, 2)], None, id="one-slot"),
        pytest.param("STREAMING", 2, [(2, 0), (0, 0)], None, id="the-other-is-taken"),
        pytest.param("BATCH", 2, [(2, 0), (0, 2)], None, id="bounded"),
    ],
)
def test_a_job_that_stays_on_one_machine(
    kind: str, parallelism: int, managers: list[tuple[int, int]], crowded: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = asked(monkeypatch, LIVE, {"/jobs/aa": details(kind, parallelism, "RUNNING")}, *managers)
    assert view.crowded == crowded


def test_commands() -> None:
    assert to_end(LIVE.name, ADDRESS) == "tandem flink stop-job 000001-5f --flink-master 127.0.0.1:8081"
    assert "--resume 000001-5f" in to_spread(JobView(LIVE), ADDRESS)
