"""A Flink on this machine for tests; the conftest.py of a folder of such tests imports what it offers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.jars import provide
from tandem.schemas.errors import LaunchError

__all__ = ["flink", "flink_jars"]


@pytest.fixture(scope="session")
def flink_jars() -> None:
    """Jars of Flink are there, or can be fetched; else the test is skipped."""
    try:
        provide()
    except LaunchError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def flink(flink_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A standalone Flink, for all tests of a session; the one in TANDEM_TEST_FLINK, a home, if that is set."""
    home = os.environ.get("TANDEM_TEST_FLINK")
    cluster = Cluster.start(home or tmp_path_factory.mktemp("flink"))
    try:
        yield cluster
    finally:
        if not home:
            cluster.stop()
