"""Fixtures of tests with real processes; the conftest.py of a folder of such tests imports what it offers."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1

from processes.stages import Poller, Stage, View, environment, start_emulator, wait_for

__all__ = ["emulator", "patiently", "polling", "stage", "staged"]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of `tandem emulator`; of the emulator in PUBSUB_EMULATOR_HOST if TANDEM_TEST_EMULATOR is set."""
    if os.environ.get("TANDEM_TEST_EMULATOR"):
        yield os.environ["PUBSUB_EMULATOR_HOST"]
        return
    errors = tmp_path_factory.mktemp("emulator") / "errors"
    process, address = start_emulator(errors)
    try:
        yield address
    finally:
        process.terminate()
        assert process.wait(60) == 0, errors.read_text()


@contextlib.contextmanager
def staged(folder: Path, emulator: str) -> Iterator[Stage]:
    """A stage; whatever still runs on it at the end is killed."""
    stage = Stage(folder, emulator, f"test-{secrets.token_hex(4)}")
    stage.home.mkdir()
    with environment(PUBSUB_EMULATOR_HOST=emulator):
        subscriber = pubsub_v1.SubscriberClient()
    stage.publisher.create_topic(name=stage.topic)
    subscriber.create_subscription(name=stage.subscription, topic=stage.topic, ack_deadline_seconds=10)
    try:
        yield stage
    finally:
        for tandem in stage.running:
            tandem.kill()
        with contextlib.suppress(NotFound):
            subscriber.delete_subscription(subscription=stage.subscription)
            stage.publisher.delete_topic(topic=stage.topic)
        stage.publisher.stop()
        subscriber.close()


@pytest.fixture
def stage(emulator: str, tmp_path: Path) -> Iterator[Stage]:
    """A stage of the test's own."""
    with staged(tmp_path, emulator) as made:
        yield made


@pytest.fixture
def patiently() -> Callable[..., Any]:
    """`wait_for`."""
    return wait_for


@pytest.fixture
def polling() -> Iterator[Callable[[View], Poller]]:
    """Starts pollers; they are stopped at the end of the test at the latest."""
    started: list[Poller] = []

    def start(view: View) -> Poller:
        started.append(Poller(view))
        started[-1].start()
        return started[-1]

    yield start
    for poller in started:
        poller.abandon()
