"""What is read from a JobManager's answers, and what its refusals become."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tandem.runners.flink.rest import FlinkRest
from tandem.schemas.errors import LaunchError, TandemError

JOBS = {
    "jobs": [
        {"jid": "aa11", "name": "tandem-000001-aa", "state": "CANCELED", "start-time": 1},
        {"jid": "ab22", "name": "tandem-000001-aa", "state": "RUNNING", "start-time": 3},
        {"jid": "cc33", "name": "other", "state": "FINISHED", "start-time": 2},
    ]
}
Answers = dict[str, list[tuple[int, Any]]]


class FakeFlink:
    """Answers by method and path, the last one again and again."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.asked: list[tuple[str, Any]] = []

    def answer(self, asked: str, *answers: Any, status: int = 200) -> None:
        self.answers[asked] = [(status, one) for one in answers]


@pytest.fixture
def fake() -> Iterator[tuple[FakeFlink, FlinkRest]]:
    flink = FakeFlink()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = f"{self.command} {self.path}"
            flink.asked.append((asked, json.loads(body) if body else None))
            waiting = flink.answers.get(asked, [(404, {"errors": ["Not found: " + self.path]})])
            status, content = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield flink, FlinkRest(f"127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


Fake = tuple[FakeFlink, FlinkRest]


def test_jobs_come_newest_first(fake: Fake) -> None:
    fake[0].answer("GET /jobs/overview", JOBS)
    assert [job.id for job in fake[1].jobs()] == ["ab22", "cc33", "aa11"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("ab", "ab22", id="prefix"),
        pytest.param("cc33", "cc33", id="whole-id"),
        pytest.param("tandem-000001-aa", "ab22", id="name-of-the-one-that-runs"),
    ],
)
def test_a_job_by_what_it_is_called(wanted: str, found: str, fake: Fake) -> None:
    fake[0].answer("GET /jobs/overview", JOBS)
    assert fake[1].job(wanted).id == found


@pytest.mark.parametrize(("wanted", "number"), [pytest.param("a", 2, id="two"), pytest.param("x", 0, id="none")])
def test_a_job_that_is_not_clear(wanted: str, number: int, fake: Fake) -> None:
    fake[0].answer("GET /jobs/overview", JOBS)
    with pytest.raises(LaunchError, match=f"'{wanted}' names {number} jobs .* there are: ab22 "):
        fake[1].job(wanted)


@pytest.mark.parametrize(
    ("stop", "path", "body"),
    [
        pytest.param(True, "stop", {"drain": False, "targetDirectory": "file:/s"}, id="stop"),
        pytest.param(False, "savepoints", {"cancel-job": False, "target-directory": "file:/s"}, id="go-on"),
    ],
)
def test_a_savepoint_is_waited_for(stop: bool, path: str, body: dict[str, Any], fake: Fake) -> None:
    flink, rest = fake
    flink.answer(f"POST /jobs/ab22/{path}", {"request-id": "r"})
    done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s/1"}}
    flink.answer("GET /jobs/ab22/savepoints/r", {"status": {"id": "IN_PROGRESS"}}, done)
    assert rest.savepoint("ab22", "file:/s", stop=stop) == "file:/s/1"
    assert flink.asked[0] == (f"POST /jobs/ab22/{path}", body)


def test_a_savepoint_that_fails_says_the_innermost_cause(fake: Fake) -> None:
    flink, rest = fake
    trace = "java.lang.Exception: outer\n\tat X\nCaused by: java.io.IOException: disk is full\n\tat Y\n"
    failed = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"class": "E", "stack-trace": trace}}}
    flink.answer("POST /jobs/ab22/stop", {"request-id": "r"})
    flink.answer("GET /jobs/ab22/savepoints/r", failed)
    with pytest.raises(TandemError, match=r"job ab22: no savepoint was written: java\.io\.IOException: disk is full$"):
        rest.savepoint("ab22", None, stop=True)


def test_a_savepoint_that_never_comes(fake: Fake) -> None:
    fake[0].answer("POST /jobs/ab22/stop", {"request-id": "r"})
    fake[0].answer("GET /jobs/ab22/savepoints/r", {"status": {"id": "IN_PROGRESS"}})
    with pytest.raises(TandemError, match="no savepoint within 0 s"):
        fake[1].savepoint("ab22", None, stop=True, time_limit=0.3)


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        pytest.param(
            {"execution-config": {"user-config": {"stateBackendStoragePath": "file:/h"}}}, "file:/h", id="there"
        ),
        pytest.param({"execution-config": {"user-config": {}}}, None, id="not-said"),
        pytest.param({"execution-config": None}, None, id="job-is-starting"),
    ],
)
def test_the_folder_of_a_jobs_state(config: Any, folder: str | None, fake: Fake) -> None:
    fake[0].answer("GET /jobs/ab22/config", config)
    assert fake[1].state_folder("ab22") == folder


def test_a_refusal_is_one_line(fake: Fake) -> None:
    with pytest.raises(TandemError, match=r"refused PATCH /jobs/zz\?mode=cancel: Not found: /jobs/zz"):
        fake[1].cancel("zz")


def test_nobody_answers() -> None:
    with pytest.raises(LaunchError, match=r"no Flink JobManager answers at 127\.0\.0\.1:1: .*refused"):
        FlinkRest("127.0.0.1:1").version()


def test_what_speaks_another_protocol_is_no_flink() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as caller:
                caller.recv(1 << 16)
                caller.sendall(b"\x00\x00\x06\x04\x00\x07\x01 Unexpected HTTP/1.x\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            LaunchError, match=f"no Flink JobManager answers at {address}: .*Unexpected HTTP"
        ) as refused:
            FlinkRest(address).version()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("told", [pytest.param({}, id="another-object"), pytest.param([1], id="no-object")])
def test_what_has_no_version_is_no_flink(told: Any, fake: tuple[FakeFlink, FlinkRest]) -> None:
    flink, rest = fake
    flink.answer("GET /config", told)
    with pytest.raises(LaunchError, match="tells no version of Flink"):
        rest.version()


def test_a_jobmanager_that_elects_a_leader_is_waited_for() -> None:
    answers = [(503, {"errors": ["Service temporarily unavailable"]}), (200, {"flink-version": "1.19.3"})]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert FlinkRest(f"127.0.0.1:{server.server_port}").version() == "1.19.3"
        server.shutdown()
    assert answers == []


def test_one_that_stays_unavailable_is_refused(fake: tuple[FakeFlink, FlinkRest]) -> None:
    flink, rest = fake
    flink.answer("GET /config", {"errors": ["Service temporarily unavailable"]}, status=503)
    with pytest.raises(TandemError, match="refused GET /config: Service temporarily unavailable"):
        FlinkRest(rest.address, timeout=0.3).version()


@pytest.mark.parametrize(
    "answer", [{}, [], {"jobs": None}, {"jobs": [{}]}, {"jobs": [{**JOBS["jobs"][0], "start-time": "x"}]}, 1]
)
def test_a_server_that_is_no_flink_lists_no_jobs(fake: Fake, answer: Any) -> None:
    fake[0].answer("GET /jobs/overview", answer)
    with pytest.raises(LaunchError, match=f"no Flink JobManager answers at {fake[1].address}"):
        fake[1].jobs()
