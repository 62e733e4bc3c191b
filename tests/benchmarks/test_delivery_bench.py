"""The benchmark of deliveries: every result arrives once, with its answer, and the figures are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measuring.results import load
from benchmarks.parts import delivery


def test_every_result_is_delivered(tmp_path: Path) -> None:
    assert delivery.main(["--keys", "60", "--minutes", "2", "--results", str(tmp_path)]) == 0
    (row,) = load("delivery", folder=tmp_path)
    assert row.case == {"keys": 60, "minutes": 2, "results": 120}
    rates = {"delivered_per_s", "made_per_s", "sent_per_s"}
    assert set(row.figures) == {*rates, "processor_s_of_1000", "processor_s_of_1000_sent"}


def test_what_is_missing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_write", lambda *arguments: None)
    _, wrong = delivery.measure(5, 1)
    assert wrong == "0 messages of 5 results"
