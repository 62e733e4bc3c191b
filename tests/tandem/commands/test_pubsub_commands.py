"""`tandem pubsub` against the embedded Pub/Sub, and `tandem emulator`'s refusals."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from google.cloud.pubsub_v1 import SubscriberClient
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.commands.platforms import pubsub as pubsub_commands
from tandem.emulator.server import EmbeddedPubSub

TOPIC, SUBSCRIPTION = "projects/demo/topics/clicks", "projects/demo/subscriptions/clicks"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with EmbeddedPubSub() as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        yield pubsub.address


def test_topic_and_subscription_are_created_and_may_be_there_already(address: str) -> None:
    for state in ("created {}", "{} is there already"):
        assert run("pubsub", "create-topic", TOPIC).stdout == state.format(TOPIC) + "\n"
        made = run("pubsub", "create-subscription", SUBSCRIPTION, "--topic", TOPIC, "--ack-deadline", "15")
        assert (made.exit_code, made.stdout) == (0, state.format(SUBSCRIPTION) + "\n"), made.stderr
    with SubscriberClient() as client:
        found = client.get_subscription(subscription=SUBSCRIPTION)
    assert (found.topic, found.ack_deadline_seconds) == (TOPIC, 15)


def test_a_subscription_of_another_kind_is_not_the_same(address: str) -> None:
    for name in (TOPIC, f"{TOPIC}2"):
        run("pubsub", "create-topic", name)
    run("pubsub", "create-subscription", SUBSCRIPTION, "--topic", TOPIC)
    other = run("pubsub", "create-subscription", SUBSCRIPTION, "--topic", f"{TOPIC}2")
    message = f"{SUBSCRIPTION} is there already with topic {TOPIC}, not {TOPIC}2"
    assert (other.exit_code, other.stderr) == (2, f"error: {message}\n")
    longer = run("pubsub", "create-subscription", SUBSCRIPTION, "--topic", TOPIC, "--ack-deadline", "20")
    message = f"{SUBSCRIPTION} is there already with acknowledge deadline 10, not 20"
    assert (longer.exit_code, longer.stderr) == (2, f"error: {message}\n")


def test_a_subscription_needs_its_topic(address: str) -> None:
    made = run("pubsub", "create-subscription", SUBSCRIPTION, "--topic", TOPIC)
    message = f"{TOPIC} doesn't exist on the emulator at {address}; `tandem pubsub create-topic {TOPIC}` makes it"
    assert (made.exit_code, made.stderr) == (2, f"error: {message}\n")


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr(pubsub_commands, "_SECONDS", 0.5)
    made = run("pubsub", "create-topic", TOPIC)
    assert made.exit_code == 2
    assert made.stderr.startswith(f"error: {TOPIC} on the emulator at 127.0.0.1:1: ")
    assert made.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("create-topic", "clicks"),
            "'clicks' is not the name of a topic; write projects/PROJECT/topics/NAME",
            id="topic",
        ),
        pytest.param(
            ("create-subscription", TOPIC, "--topic", TOPIC),
            f"'{TOPIC}' is not the name of a subscription; write projects/PROJECT/subscriptions/NAME",
            id="subscription",
        ),
        pytest.param(
            ("create-subscription", SUBSCRIPTION, "--topic", "clicks"),
            "'clicks' is not the name of a topic; write projects/PROJECT/topics/NAME",
            id="topic-of-subscription",
        ),
        pytest.param(
            ("create-subscription", SUBSCRIPTION, "--topic", TOPIC, "--ack-deadline", "5"),
            "Invalid value for '--ack-deadline': Input should be greater than or equal to 10; "
            "see `tandem pubsub create-subscription --help`",
            id="short-deadline",
        ),
        pytest.param(
            ("create-subscription", SUBSCRIPTION),
            "Missing option '--topic'; see `tandem pubsub create-subscription --help`",
            id="no-topic",
        ),
    ],
)
def test_mistakes_in_names(arguments: tuple[str, ...], message: str) -> None:
    shown = run("pubsub", *arguments)
    assert (shown.exit_code, shown.stderr) == (2, f"error: {message}\n")


def test_emulator_on_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        shown = run("emulator", "--port", str(port))
    assert (shown.exit_code, shown.stdout) == (2, "")
    said = f"error: Cannot listen on 127.0.0.1:{port}: Address already in use; --port 0 takes a free one\n"
    assert shown.stderr == said


@pytest.mark.parametrize(
    ("given", "limit"), [pytest.param((), 4 << 30, id="default"), pytest.param(("--max-backlog-bytes", "7"), 7, id="7")]
)
def test_emulator_hands_its_flags_on(given: tuple[str, ...], limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def serve(host: str, port: int, ready: object, *, max_backlog_bytes: int) -> None:
        seen.update(host=host, port=port, limit=max_backlog_bytes)

    monkeypatch.setattr("tandem.emulator.server.serve", serve)
    assert run("emulator", "--host", "localhost", "--port", "0", *given).exit_code == 0
    assert seen == {"host": "localhost", "port": 0, "limit": limit}
