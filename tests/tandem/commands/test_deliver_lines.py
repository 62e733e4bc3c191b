"""What `tandem deliver --once` says of windows that it didn't send."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tandem.commands.delivery.deliver import _held_back
from tandem.views.results.due.holding import HeldBack


@pytest.mark.parametrize(
    ("held", "line"),
    [
        pytest.param(HeldBack(0, None), "", id="none"),
        pytest.param(HeldBack(1, None), "; 1 window is held back by its trigger", id="one, until it is over"),
        pytest.param(
            HeldBack(1, 1_000_000), "; 1 window is held back by its trigger until 1970-01-01T00:00:01Z", id="one"
        ),
        pytest.param(HeldBack(2, None), "; 2 windows are held back by their triggers", id="several, until over"),
        pytest.param(
            HeldBack(2_000, 1_000_000),
            "; 2,000 windows are held back by their triggers, the first until 1970-01-01T00:00:01Z",
            id="several",
        ),
    ],
)
def test_windows_that_triggers_hold_back(held: HeldBack, line: str) -> None:
    deliverer: Any = SimpleNamespace(held_back=lambda: held)
    assert _held_back(deliverer) == line
