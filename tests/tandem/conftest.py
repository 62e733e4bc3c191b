"""A home with one definition, and the command line over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.stage_fixtures import emulator, stage
from samples.orders_home import Installation, serve_orders

__all__ = ["emulator", "stage"]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Installation]:
    """Registered, nothing published."""
    made = Installation(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def served(empty: Installation) -> Installation:
    """Batch and live, published: see `serve_orders`."""
    serve_orders(empty)
    return empty
