"""Webhooks that misbehave, as a user of `tandem deliver` sees it: what waits still waits, and no secret is said."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes.ports import free_port
from typer.testing import CliRunner
from without_runner.alert_cases import busy
from without_runner.alert_stories import AlertStory, rules_definition, rules_text

from tandem.app import app

HERE, SECRET, TOKEN = "127.0.0.1", "a-secret-to-sign-by", "a-token-in-the-query"
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def answering(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        with suppress(OSError):  # who asked needn't read all of it
            handler.wfile.write(body)

    return answer


def closes_mid_way(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
    handler.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Hostile:
    """A receiver on this machine; `url` leads to it, unless a case says another one."""

    url: str
    answer: Answer
    asked: int = 0


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.asked += 1
            made.answer(self)

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer((HERE, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Hostile(f"http://{HERE}:{server.server_port}/hook?token={TOKEN}", answering(204))
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def wrong_certificate(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody vouches for."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=else.example.com", "-days", "2"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer((HERE, 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://{HERE}:{server.server_port}/hook?token={TOKEN}"
    server.shutdown()
    server.server_close()


class Installed:
    """A view with an alert that is due to a webhook."""

    def __init__(self, folder: Path, url: str) -> None:
        webhook = json.dumps({"webhook": {"url": url, "allow": [HERE, "nowhere.invalid"], "secret": "HOOK_KEY"}})
        rules = f"{{busy: {{window: 1m, expr: n >= 2, to: {webhook}}}}}"
        self.store, self.definition = folder / "v.db", folder / "visits.yaml"
        self.definition.write_text(rules_text(rules), encoding="utf-8")
        story = AlertStory(self.store, rules_definition(rules), rules_text(rules))
        story.serve()
        busy(story, 0)
        story.watermark(1)
        story.close()

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and all that was said; never a secret."""
        result = CliRunner().invoke(app, [*arguments, "--store", str(self.store)])
        said = result.output + ("" if result.exception is None else str(result.exception))
        assert SECRET not in said, said
        assert TOKEN not in said, said
        return result.exit_code, said


def check(installed: Installed, says: str) -> None:
    """It fails in one line, what waits and why is said, and the alert stays."""
    code, said = installed.run("deliver", "--once", str(installed.definition))
    assert code == 1, said
    assert says in said, said
    code, said = installed.run("status", "visits")
    assert code in (0, 1), said
    said = " ".join(said.split())
    assert "1 messages to send" in said, said
    assert says in said, said
    code, said = installed.run("alerts", "list", "visits", "--json")
    assert (code, [alert["status"] for alert in json.loads(said)]) == (0, ["firing"])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", SECRET)


def check_sent_again(installed: Installed, hostile: Hostile) -> None:
    """Once it works again, and is tried at once, all is sent."""
    hostile.answer, before = answering(204), hostile.asked
    assert installed.run("results", "retry", "visits")[0] == 0
    code, said = installed.run("deliver", "--once", str(installed.definition))
    assert (code, hostile.asked) == (0, before + 1), said


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(answering(500, b"broken"), "answered 500", id="500"),
        pytest.param(answering(500, b"x" * 4_000_000), "answered 500", id="a huge answer"),
        pytest.param(closes_mid_way, "cut off", id="closes mid-way"),
    ],
)
def test_what_may_go_better_later_waits(hostile: Hostile, tmp_path: Path, answer: Answer, says: str) -> None:
    installed, hostile.answer = Installed(tmp_path, hostile.url), answer
    check(installed, says)
    check_sent_again(installed, hostile)


def test_who_wants_to_be_left_alone_is(hostile: Hostile, tmp_path: Path) -> None:
    installed, hostile.answer = Installed(tmp_path, hostile.url), answering(429, Retry_After="3600")
    check(installed, "answered 429")
    code, said = installed.run("deliver", "--once", str(installed.definition))
    assert hostile.asked == 1, f"asked again within the hour, exit code {code}: {said}"
    check_sent_again(installed, hostile)


def test_who_isnt_there(tmp_path: Path) -> None:
    check(Installed(tmp_path, f"http://{HERE}:{free_port()}/hook?token={TOKEN}"), "refused")


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    check(Installed(tmp_path, f"http://nowhere.invalid/hook?token={TOKEN}"), "nowhere.invalid")


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, wrong_certificate: str) -> None:
    check(Installed(tmp_path, wrong_certificate), "certificate")


def test_a_redirect_is_refused_and_set_aside(hostile: Hostile, tmp_path: Path) -> None:
    """It isn't followed; what it was sent is kept, named, and can be sent again."""
    installed = Installed(tmp_path, hostile.url)
    hostile.answer = answering(301, Location=hostile.url)
    code, said = installed.run("deliver", "--once", str(installed.definition))
    assert (code, hostile.asked) == (1, 1), said
    code, said = installed.run("results", "dead", "visits")
    assert "301" in said, said
    check_sent_again(installed, hostile)
