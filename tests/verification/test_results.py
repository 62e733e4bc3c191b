"""Results of a definition are verified with it: deliverers that die and wake up, drainers that stop, and every law."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from breaking.breaks import BREAKS, Patch
from without_runner.result_seeds import RESULTS
from without_runner.result_stories import BEGIN, TEXT

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, loads
from tandem.schemas.time.durations import SECOND
from tandem.verification.delivering import Receiver
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.oracle import Oracle
from tandem.verification.running import Found, run_schedule
from tandem.verification.world.schedules import draw_schedule

MEASURES = "{n: count, amount: {sum: amount}}"


def visits(count: int = 24) -> list[bytes]:
    events = [
        {"id": f"v{number}", "at": BEGIN + number * 17 * SECOND, "user": "abc"[number % 3], "amount": number % 5 - 1}
        for number in range(count)
    ]
    return [json.dumps(event).encode() for event in events]


def text_of(result: str) -> str:
    return TEXT.format(result=result, tile="1m", lateness="1m", measures=MEASURES)


@dataclass(frozen=True)
class Sent:
    payload: str


def run(result: str, seed: int) -> Found:
    return run_text(text_of(result), seed)


def run_text(text: str, seed: int) -> Found:
    definition: Definition = loads(text)
    oracle, payloads = Oracle(compile_definition(definition)), visits()
    schedule = draw_schedule(definition, [oracle.event(payload) for payload in payloads], Random(seed))
    return run_schedule(definition, text, payloads, schedule, oracle)


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


@pytest.mark.parametrize(
    ("revisions", "holds"),
    [
        pytest.param((1, 2), True, id="one after the other"),
        pytest.param((1, 3), True, id="one kept back"),
        pytest.param((2, 1), False, id="fallen back"),
        pytest.param((1, 1), False, id="another state of one revision"),
    ],
)
def test_an_episode_never_falls_back(revisions: tuple[int, int], holds: bool) -> None:
    receiver = Receiver()
    sent = [
        Sent(json.dumps({"id": str(at), "kind": "alert", "episode": "e", "revision": revision}))
        for at, revision in enumerate(revisions)
    ]
    with nullcontext() if holds else pytest.raises(Mismatch, match="fell back"):
        receiver.send(sent)


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
