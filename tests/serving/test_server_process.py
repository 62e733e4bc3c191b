"""`tandem serve` as a process: where it listens, how it ends, and what other commands don't load because of it."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from samples.orders_home import Installation
from servers.unprivileged import as_another

import tandem.serving.api.application
import tandem.serving.api.transport.server
import tandem.serving.security.tokens  # noqa: F401  (another user may not read where they are installed)

EVENTS = "/api/v1/definitions/orders/events?key=mill,EUR&window=day&at=2026-01-05T12:00"


@contextmanager
def served(home: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """(the process, a connection to it)."""
    command = [sys.executable, "-m", "tandem", "serve", "--port", "0", "--home", str(home), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().removeprefix("serving at ").strip())
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            yield process, connection
        finally:
            connection.close()
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_with_streams_open(orders: Installation, number: signal.Signals) -> None:
    with served(orders.home) as (process, connection):
        connection.request("GET", EVENTS)
        stream = connection.getresponse()
        assert stream.readline() == b"event: answer\n"
        process.send_signal(number)
        assert b'"orders": 4' in stream.read()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_one_line(orders: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = orders.run("serve", "--port", port)
    assert ended.exit_code == 2
    assert f"can't listen at 127.0.0.1, port {port}" in ended.stderr


def test_a_home_that_this_user_can_not_look_into_is_refused(orders: Installation) -> None:
    orders.home.chmod(0o700)
    with as_another(orders.home):
        ended = orders.run("serve", "--port", "0")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"this user may not look into {orders.home}" in ended.stderr


@pytest.mark.parametrize(
    ("store", "words"),
    [
        pytest.param(None, "warning: no view store at {path}: nothing has run there yet", id="none"),
        pytest.param(b"no database" * 1000, "warning: ", id="something-else"),
    ],
)
def test_a_store_that_can_not_be_read_yet_is_said_to_be_so(
    orders: Installation, tmp_path: Path, store: bytes | None, words: str
) -> None:
    path = tmp_path / "later.db"
    if store is not None:
        path.write_bytes(store)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = orders.run("serve", "--port", str(taken.getsockname()[1]), "--store", str(path))
    assert ended.stderr.splitlines()[0].startswith(words.format(path=path))
    assert str(path) in ended.stderr.splitlines()[0]
    assert "can't listen at" in ended.stderr.splitlines()[1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(("--host", "0.0.0.0"), "others could ask everything", id="everywhere"),
        pytest.param(("--home", "gs://bucket/home"), "need a folder", id="bucket"),
        pytest.param(("--max-age", "soon"), "--max-age", id="age"),
        pytest.param(("--oidc-issuer", "https://id.example.com"), "goes with --auth", id="tokens-without-auth"),
        pytest.param(("--auth", "--oidc-issuer", "http://id.example.com"), "https://", id="issuer"),
    ],
)
def test_wrong_flags_are_one_line(orders: Installation, flags: tuple[str, ...], words: str) -> None:
    ended = orders.run("serve", *flags)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert words in ended.stderr


def test_keys_are_made_listed_and_revoked(orders: Installation) -> None:
    made = orders.run("keys", "create", "shop-window", "--rows", "orders=mill", "--expires", "1d")
    number = made.stdout.strip().split("_")[1]
    listed = orders.run("keys", "list").stdout
    assert number in listed
    assert made.stdout.strip() not in listed
    assert orders.run("keys", "revoke", number).exit_code == 0
    assert "revoked" in orders.run("keys", "list").stdout
    unknown = orders.run("keys", "revoke", "00000000")
    assert (unknown.exit_code, "no API key" in unknown.stderr) == (2, True)


def test_other_commands_load_nothing_of_a_server() -> None:
    code = (
        "import sys, tandem.app, tandem.serving.questions.answers.asking, tandem.serving.installation.journal_state\n"
        "print(sorted({'fastapi', 'uvicorn', 'starlette', 'jinja2', 'jwt', 'prometheus_client'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
