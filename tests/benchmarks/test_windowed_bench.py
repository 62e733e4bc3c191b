"""The windowed jobs of the benchmark: all give the same answers, and one that doesn't is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measuring import windowed_jobs
from benchmarks.measuring.results import load
from benchmarks.parts import windowed

EVENTS = 500


def test_all_answers_are_right(tmp_path: Path) -> None:
    assert windowed.main(["--events", str(EVENTS), "--rounds", "1", "--results", str(tmp_path)]) == 0
    assert {row.case["job"] for row in load("windowed", folder=tmp_path)} == set(windowed_jobs.JOBS)
    assert sum(number for number, *_ in windowed_jobs.ANSWERS.values()) == EVENTS


@pytest.mark.parametrize(
    ("found", "right"),
    [
        pytest.param((2, 3.0, 1.0, 2.0, 1.5), True, id="equal"),
        pytest.param((2, 3.0000000001, 1.0, 2.0, 1.5), True, id="a-sum-rounded-otherwise"),
        pytest.param((3, 3.0, 1.0, 2.0, 1.5), False, id="number"),
        pytest.param((2, 3.1, 1.0, 2.0, 1.5), False, id="sum"),
        pytest.param((2, 3.0, 1.0, 2.5, 1.5), False, id="most"),
        pytest.param((2, 3.0, 1.0, 2.0, 1.6), False, id="mean"),
    ],
)
def test_a_wrong_answer_is_found(found: tuple[int, float, float, float, float], right: bool) -> None:
    assert windowed._equal({("home", 0): (2, 3.0, 1.0, 2.0, 1.5)}, {("home", 0): found}) is right
