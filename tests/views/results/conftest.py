"""TANDEM_TEST_STORIES=postgres: all stories of this folder on PostgreSQL (`make results-on-postgres`)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from servers.postgres_stories import stories_on_postgres


@pytest.fixture(scope="session", autouse=True)
def _stores() -> Iterator[None]:
    if os.environ.get("TANDEM_TEST_STORIES") != "postgres":
        yield
        return
    with stories_on_postgres():
        yield
