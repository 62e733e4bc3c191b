"""Alerts told one after the other, as `alert_cases` has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from without_runner.alert_cases import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_alerts(case: Callable[[Path], None], tmp_path: Path) -> None:
    case(tmp_path)
