"""What the launcher of a run learns from Flink's REST interface, and what it does there."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.runners.flink.control import FlinkControl, cause_of
from tandem.runners.flink.rest import FlinkRest
from tandem.schemas.errors import LaunchError

SDK = (
    "java.lang.RuntimeException: Error received from SDK harness for instruction 12: "
    "Traceback (most recent call last):\n"
    '  File "x.py", line 3, in process\n'
    "RuntimeError: tandem.schemas.errors.StoreError: views.db: the disk is full [while running 'clicks/States']\n"
    "\n\tat java.base/java.util.concurrent.CompletableFuture.reportGet(Unknown Source)\n"
)
HEARTBEAT = (
    "java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id task-manager-1-ab timed out.\n\tat X\n"
)
GONE = (
    "org.apache.flink.runtime.io.network.netty.exception.RemoteTransportException: Connection unexpectedly closed by "
    "remote task manager '127.0.0.1/127.0.0.1:35551 [ task-manager-1-8dbcbbac ] '. This might indicate that the remote "
    "task manager was lost.\n\tat X\n"
)
UNREACHABLE = (
    "org.apache.flink.runtime.rpc.exceptions.RecipientUnreachableException: Could not send message [Invocation("
    "TaskExecutorGateway.submitTask(TaskDeploymentDescriptor))] from sender [Actor[pekko://flink/temp/taskmanager_0$6u]]"
    " to recipient [Actor[pekko.tcp://flink@127.0.0.1:39]]\n\tat X\n"
)
CAUSED = "java.lang.Exception: outer\n\tat X\nCaused by: java.io.IOException: broken pipe\n\tat Y\n"


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        pytest.param(SDK, "views.db: the disk is full", id="python"),
        pytest.param(
            SDK.replace("tandem.schemas.errors.Store", "Value"),
            "ValueError: views.db: the disk is full",
            id="python-of-others",
        ),
        pytest.param(HEARTBEAT, "task-manager-1 is lost, or doesn't answer (TimeoutException)", id="java-alone"),
        pytest.param(GONE, "task-manager-1 is lost, or doesn't answer (RemoteTransportException)", id="gone"),
        pytest.param(
            UNREACHABLE, "a TaskManager is lost, or doesn't answer (RecipientUnreachableException)", id="away"
        ),
        pytest.param(CAUSED, "IOException: broken pipe", id="java-with-a-cause"),
        pytest.param("", "no reason is given", id="nothing"),
    ],
)
def test_a_failure_in_one_line(trace: str, cause: str) -> None:
    assert cause_of(trace) == cause


@pytest.fixture
def cancelled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A Flink with two jobs of a name, one of which runs; what was cancelled."""
    found: list[str] = []

    def get(self: FlinkRest, path: str) -> Any:
        if self.address != "127.0.0.1:8":
            raise LaunchError("nobody answers")
        job = {"jid": "ab", "name": "tandem-1", "state": "RESTARTING", "start-time": 2}
        history = [{"timestamp": 30, "stacktrace": CAUSED}, {"timestamp": 20, "stacktrace": HEARTBEAT}]
        return {
            "/jobs/overview": {"jobs": [{**job, "jid": "ac", "state": "FAILED", "start-time": 1}, job]},
            "/jobs/ab/exceptions": {"exceptionHistory": {"entries": history}},
        }[path]

    monkeypatch.setattr(FlinkRest, "get", get)
    monkeypatch.setattr(FlinkRest, "cancel", lambda self, job: found.append(job))
    return found


def at(master: str) -> PipelineOptions:
    return PipelineOptions([f"--flink_master={master}"])


def test_the_job_that_runs_is_ended(cancelled: list[str]) -> None:
    FlinkControl().end("tandem-1", at("127.0.0.1:8"))
    assert cancelled == ["ab"]


@pytest.mark.parametrize(
    ("before", "ended"),
    [
        pytest.param(2001, ["ab"], id="own"),  # it began in millisecond 2
        pytest.param(2000, [], id="of-a-later-launch"),
    ],
)
def test_a_job_that_began_later_is_not_ended(before: int, ended: list[str], cancelled: list[str]) -> None:
    with contextlib.nullcontext() if ended else pytest.raises(LaunchError, match="no job tandem-1 runs"):
        FlinkControl().end("tandem-1", at("127.0.0.1:8"), before)
    assert cancelled == ended


def test_jobs_of_several_names_are_ended_at_once(cancelled: list[str]) -> None:
    assert FlinkControl().end_all({"tandem-0", "tandem-1"}, at("127.0.0.1:8"))
    assert cancelled == ["ab"]
    assert not FlinkControl().end_all({"tandem-0"}, at("127.0.0.1:8"))
    assert cancelled == ["ab"]


@pytest.mark.parametrize(
    ("name", "master", "message"),
    [
        pytest.param("tandem-2", "127.0.0.1:8", "no job tandem-2 runs on Flink at 127.0.0.1:8", id="no-such-job"),
        pytest.param("tandem-1", "127.0.0.1:9", "nobody answers", id="no-flink"),
        pytest.param("tandem-1", "[auto]", "no --flink_master is known", id="no-address"),
    ],
)
def test_nothing_to_end(name: str, master: str, message: str, cancelled: list[str]) -> None:
    with pytest.raises(LaunchError) as refused:
        FlinkControl().end(name, at(master))
    assert str(refused.value) == message
    assert cancelled == []


@pytest.mark.parametrize(
    ("name", "master", "runs"),
    [
        pytest.param("tandem-1", "127.0.0.1:8", True, id="runs"),
        pytest.param("tandem-2", "127.0.0.1:8", False, id="ended"),
        pytest.param("tandem-1", "127.0.0.1:9", None, id="nobody-says"),
    ],
)
def test_whether_a_job_runs(name: str, master: str, runs: bool | None, cancelled: list[str]) -> None:
    assert FlinkControl().runs(name, at(master)) is runs


def test_only_new_failures_in_their_order(cancelled: list[str]) -> None:
    control, flink = FlinkControl(), at("127.0.0.1:8")
    assert [when for when, _ in control.failures("tandem-1", flink, 0)] == [20, 30]
    assert control.failures("tandem-1", flink, 20) == [(30, "IOException: broken pipe")]
    assert control.failures("tandem-1", at("[auto]"), 0) == []
