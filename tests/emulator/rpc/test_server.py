"""Starting and stopping, in this process and as a command."""

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.pubsub_v1 import types

from tandem.emulator import CannotListen, EmbeddedPubSub, serve

ROOT = Path(__file__).resolve().parents[3]
TOPIC = "projects/shop/topics/orders"


def create_topic(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        request = types.Topic.pb()(name=TOPIC).SerializeToString()
        channel.unary_unary("/google.pubsub.v1.Publisher/CreateTopic")(request, timeout=5, wait_for_ready=True)


def test_servers_on_free_ports_know_nothing_of_each_other() -> None:
    with EmbeddedPubSub() as first, EmbeddedPubSub() as second:
        assert first.address != second.address
        create_topic(first.address)
        create_topic(second.address)


def test_a_stopped_server_frees_its_port_and_has_forgotten_everything() -> None:
    with EmbeddedPubSub() as first:
        create_topic(first.address)
        port = int(first.address.rpartition(":")[2])
    first.stop()
    with EmbeddedPubSub(port=port) as second:
        assert second.address == first.address
        create_topic(second.address)


def test_a_server_starts_once() -> None:
    server = EmbeddedPubSub()
    with server:
        pass
    with pytest.raises(RuntimeError, match="starts once"):
        server.start()


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        pytest.param("192.0.2.1", 0, "192.0.2.1:0", id="address of another machine"),
        pytest.param("127.0.0.1", 70_000, "127.0.0.1:70000", id="no such port"),
        pytest.param("no.such.host.invalid", 0, "no.such.host.invalid", id="unknown name"),
        pytest.param("", 0, ":0", id="no name"),
        pytest.param("a\n\x1b]0;gone\x07b", 0, r"'a\n\x1b]0;gone\x07b':0", id="control characters"),
        pytest.param("a\udcffb", 0, "no host has such a name", id="no UTF-8"),
        pytest.param("x" * 5_000, 0, "no host has such a name", id="a long name"),
    ],
)
def test_addresses_that_cannot_be_used(host: str, port: int, said: str) -> None:
    with pytest.raises(CannotListen) as refusal:
        EmbeddedPubSub(host, port).start()
    assert said in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_a_full_backlog_is_told_to_the_publisher() -> None:
    with EmbeddedPubSub(max_backlog_bytes=100) as server, grpc.insecure_channel(server.address) as channel:
        create_topic(server.address)
        subscription = types.Subscription.pb()(name="projects/shop/subscriptions/live", topic=TOPIC)
        channel.unary_unary("/google.pubsub.v1.Subscriber/CreateSubscription")(subscription.SerializeToString())
        request = types.PublishRequest.pb()(topic=TOPIC, messages=[{"data": b"x" * 100}]).SerializeToString()
        with pytest.raises(grpc.RpcError) as refusal:
            channel.unary_unary("/google.pubsub.v1.Publisher/Publish")(request)
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "projects/shop/subscriptions/live" in refusal.value.details()


def test_serve_in_a_thread_ends_when_it_is_told_to() -> None:
    stop, ready = threading.Event(), threading.Event()
    addresses: list[str] = []

    def on_ready(address: str) -> None:
        addresses.append(address)
        ready.set()

    thread = threading.Thread(target=serve, args=("127.0.0.1", 0, on_ready), kwargs={"stop": stop})
    thread.start()
    assert ready.wait(5)
    create_topic(addresses[0])
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_serve_whatever_it_interrupts(number: signal.Signals) -> None:
    stop = threading.Event()

    def on_ready(address: str) -> None:
        with stop._cond:  # type: ignore[attr-defined]
            signal.raise_signal(number)

    before = signal.getsignal(number)
    serve("127.0.0.1", 0, on_ready, stop=stop)
    assert signal.getsignal(number) is before


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process: Any = subprocess.Popen(
        [sys.executable, "-m", "tandem.emulator", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal(number: signal.Signals) -> None:
    with command("--port", "0") as process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        address = second.strip().removeprefix("export PUBSUB_EMULATOR_HOST=")
        assert address.startswith("127.0.0.1:")
        assert address in first
        create_topic(address)
        requests: queue.Queue[bytes | None] = queue.Queue()
        with grpc.insecure_channel(address) as channel:
            stream = channel.stream_stream("/google.pubsub.v1.Subscriber/StreamingPull")(iter(requests.get, None))
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            assert stream.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            requests.put(None)
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_port_in_use_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command("--port", str(port)) as process:
            output, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output == ""
    assert errors == f"Cannot listen on 127.0.0.1:{port}: Address already in use.\n"
