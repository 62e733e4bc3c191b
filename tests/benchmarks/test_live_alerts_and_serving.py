"""Alerts and answers over HTTP beside a busy live, in small: rules that are taken, probes that are counted, ETags."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.inputs.clicks import DEFINITIONS, SCHEMA_FILE
from benchmarks.live_runs.live_alerts import AlertProbes, AlertScene, Webhook, measure, rules_text
from benchmarks.live_runs.live_serving import ask
from benchmarks.live_runs.live_serving import measure as measure_serving
from benchmarks.live_runs.scene import Scene, scene
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.rules.compiled import compile_rules


def test_rules_are_taken(tmp_path: Path) -> None:
    (tmp_path / SCHEMA_FILE.name).write_text(SCHEMA_FILE.read_text())
    path = tmp_path / "clicks.yaml"
    path.write_text(DEFINITIONS["clicks"].read_text() + rules_text(20, "500ms", "http://127.0.0.1:1/alerts"))
    compiled = compile_definition(load(path))
    assert len(compile_rules(compiled, compiled.definition.rules)) == 20


def alert(rule: str, page: str) -> bytes:
    return json.dumps({"rule": rule, "key": {"page": page}}).encode()


@pytest.fixture
def probes() -> Iterator[AlertProbes]:
    with Webhook() as webhook:
        probes = AlertProbes("127.0.0.1:1", "projects/p/topics/t", webhook)
        looking = threading.Thread(target=probes._look)
        looking.start()
        yield probes
        probes.end()
        looking.join()


def test_a_probe_has_arrived_with_the_alert_of_its_key(probes: AlertProbes) -> None:
    published = time.monotonic()
    probes._waiting = {number: deque([published]) for number in (0, 1)}
    for body in (alert("alarming", "/probe/1"), alert("unusual_3", "/probe/0"), alert("alarming", "/page/0")):
        urllib.request.urlopen(probes._webhook.url, body).read()
    assert (probes.alerts, probes.waiting, len(probes.seconds)) == (3, 1, 1)


@contextmanager
def serving(tag: str) -> Iterator[str]:
    """A server whose answer has this ETag."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = self.headers.get("If-None-Match") == tag
            self.send_response(304 if known else 200)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("revalidate", "codes"), [pytest.param(False, {"200"}, id="answers"), pytest.param(True, {"200", "304"}, id="tags")]
)
def test_answers_are_asked_for(revalidate: bool, codes: set[str]) -> None:
    with serving('"a"') as address:
        found = ask(address, 2_000, 0.5, connections=2, revalidate=revalidate, at="2026-01-01T00:00:00Z")
    assert set(json.loads(found["codes"])) == codes
    assert found["p99_s"] > 0


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_alerts_are_received_beside_live() -> None:
    with Webhook() as webhook, scene(AlertScene, rules=3, url=webhook.url) as made:
        figures = measure(made, webhook, 2_000, 8, 0)
    assert figures["probes"] > 10


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_answers_are_given_beside_live() -> None:
    with scene(Scene) as made:
        figures = measure_serving(made, 2_000, 3, 50, 100)
    assert set(json.loads(figures["answer_codes"])) == {"200"}
