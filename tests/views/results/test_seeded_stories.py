"""Guarantee 6: when nothing is due, the last revision of each window and key is the answer; revisions never go back."""

from __future__ import annotations

import pytest
from without_runner.result_seeds import RESULTS, check_results


@pytest.mark.parametrize("result", RESULTS)
def test_seeded_stories(result: str) -> None:
    check_results(result, (1, 2))
