"""Results of a definition are verified with it: deliverers that die and wake up, drainers that stop, and every law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from breaking.breaks import BREAKS, Patch
from without_runner.result_seeds import RESULTS
from without_runner.result_stories import TEXT
from without_runner.verified import run_text

from tandem.verification.mismatch import Mismatch
from tandem.verification.running import Found

MEASURES = "{n: count, amount: {sum: amount}}"


def text_of(result: str) -> str:
    return TEXT.format(result=result, tile="1m", lateness="1m", measures=MEASURES)


def run(result: str, seed: int) -> Found:
    return run_text(text_of(result), seed)


@pytest.mark.parametrize("result", RESULTS)
def test_the_laws_hold(result: str) -> None:
    found = run(RESULTS[result], 3)
    assert found.revisions > 5
    assert found.compared > 5
    assert found.kinds["deliver"] > 0


RULES = """
rules:
  busy: {{window: 1m, expr: n >= 1, to: [log, {{files: {folder}/alerted}}, {{webhook: "http://127.0.0.1:9/"}}]}}
"""


def test_alerts_beside_results_are_held_to_their_laws_and_reach_nobody(tmp_path: Path) -> None:
    text = text_of("{window: 1m, to: log}") + RULES.format(folder=tmp_path)
    found = run_text(text, 3)
    assert found.revisions > 5
    assert list(tmp_path.iterdir()) == []


MADE_DUE = ("live_writes_make_nothing_due", "moves_make_nothing_due")
TEETH: dict[str, Callable[[Patch], None]] = {name: BREAKS[name] for name in MADE_DUE}


def run_some(result: str, seeds: int) -> None:
    for seed in range(seeds):
        run(RESULTS[result], seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", TEETH)
def test_a_break_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    TEETH[name](monkeypatch)
    with pytest.raises(Mismatch):
        run_some("sliding" if "windows" in name else "fixed", 40)
