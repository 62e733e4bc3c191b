"""The whole of Tandem but the runner as a state machine: laws that hold after every step of any example.

The rules are in tests/support/state_machine/rules.py. docs/how-to/test.md says how to run more, and from other seeds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from breaking.breaks import BREAKS, Patch
from breaking.torn_pointer import torn_publish
from state_machine.live_rules import MESSAGES, READER_DEATHS
from state_machine.run import run_machine

from tandem.views.publishing.publications import Publishing

EXAMPLES = 120
ENOUGH = 500
PARTS = 2
"""Which may run in processes of their own."""
ROOT = Path(__file__).parents[2]

LEAST = {
    **dict.fromkeys(["publish", "read", "flow", "seal", "roll", "backfill", "publish view", "query", "end"], 10),
    **{f"message: {kind}": 2 for kind in MESSAGES},
    **{f"reader dies: {at}": 1 for at in READER_DEATHS},
    **{f"{what} dies {when} commit": 1 for what in ("pane", "segment") for when in ("before", "after")},
    **dict.fromkeys(
        ["restart", "start dies", "zombie", "zombie fenced", "wait", "fire", "restore behind the store"], 3
    ),
    **dict.fromkeys(["prune", "drop dead letters", "backfill dies", "roll back", "redelivery", "late events seen"], 2),
    **dict.fromkeys(["journal times out", "broker fails", "clock set back", "delayed write lands"], 1),
    **dict.fromkeys(["roll back across a boundary", "zombie writes first", "zombie fires", "publish view dies"], 1),
    **dict.fromkeys(["straddlers", "batch_left_out"], 3),
    **dict.fromkeys(["reconcile", "reconcile repairs"], 5),
    **dict.fromkeys(["compact", "compact joins", "compact rolls up"], 2),
    "complete to": 1,
    **dict.fromkeys(["point FINAL", "point PROVISIONAL", "point PARTIAL"], 1),
}
"""How often each must happen in a part of ENOUGH examples; else the laws would be tested on less than they seem."""
MORE = 4
"""Times that a part goes on with 50 examples from other seeds, until each has happened as often."""


@pytest.mark.timeout(0)  # as many examples as were asked for
@pytest.mark.parametrize("part", range(PARTS))
def test_laws_hold(part: int, pytestconfig: pytest.Config) -> None:
    """Parity, conservation, honesty, fencing, and numbers that never fall, after every step; all rules happen."""
    option: Callable[..., Any] = pytestconfig.getoption
    examples = option("machine_examples", default=None) or EXAMPLES
    seed = PARTS * (option("machine_seed", default=None) or 0) + part
    traces, happened = run_machine(-(-examples // PARTS), seed, shrink=bool(option("machine_shrink", default=None)))
    file = option("machine_trace", default=None)
    if file:
        with Path(file).open("a", encoding="utf-8") as out:
            out.writelines(f"part {part}\n" + "\n".join(f"  {line}" for line in trace) + "\n" for trace in traces)
    if examples >= ENOUGH:
        short = _short(happened)
        for more in range(1, MORE + 1):
            if short:
                happened += run_machine(ENOUGH // 10, seed + PARTS * 1_000 * more)[1]
                short = _short(happened)
        assert not short, f"rules that hardly happened: {short}; all: {dict(happened)}"
    else:
        assert all(happened[what] for what, least in LEAST.items() if least >= 10), dict(happened)


def _short(happened: Counter[str]) -> dict[str, int]:
    return {what: happened[what] for what, least in LEAST.items() if happened[what] < least}


def test_the_same_seed_gives_the_same_trace() -> None:
    """In processes of their own, in which hashes of strings differ."""
    here = _traced(77, "1")
    assert _traced(77, "7") == here
    assert here.count(", ") > 40, "hardly a trace"
    assert _traced(78, "1") != here


def _traced(start: int, hashes: str) -> str:
    code = "import sys; sys.path[:0] = sys.argv[2:]; from state_machine import run; "
    code += "print(run.run_machine(2, int(sys.argv[1]))[0])"
    return subprocess.run(
        [sys.executable, "-c", code, str(start), str(ROOT / "tests" / "support"), str(ROOT)],
        env={**os.environ, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout.strip()


@pytest.mark.parametrize("shards", [(2,), (4,), (8,), (1, 8, 2, 4)], ids=str)
def test_laws_hold_with_any_shards(shards: tuple[int, ...]) -> None:
    """In short; runs may have other numbers than those before them."""
    run_machine(6, 5, several=shards)


def the_pointer_moves_in_two_steps(patch: Patch) -> None:
    """Publishing commits half of the move, then the other half: a death in between leaves it torn."""
    patch.setattr(Publishing, "publish", torn_publish(lambda: None))


TEETH: dict[str, tuple[Callable[[Patch], None], str, int]] = {
    "acknowledge before write": (BREAKS["acknowledges_before_it_writes"], "in no segment|a message is lost", 1),
    "de-duplication off": (BREAKS["every_copy_counts"], "parity", 0),
    "fencing off": (BREAKS["nonces_are_ignored"], "lane .*(fenced|final seal)|a message is lost", 1),
    "the pointer's move is not atomic": (the_pointer_moves_in_two_steps, "parity|fell", 3),
    "lateness ignored": (BREAKS["nothing_is_late"], "parity|pending late|residue", 2),
    "the base is unknown": (BREAKS["the_base_is_unknown"], "parity", 2),
    "straddlers are not named": (BREAKS["straddlers_are_not_named"], "parity|fell", 0),
    "any cached state will do": (BREAKS["any_cached_state_will_do"], "parity|residue|fell", 0),
    "late events are no reason": (BREAKS["late_events_are_no_reason"], "FINAL without", 2),
    "the fastest lane tells": (BREAKS["the_fastest_lane_tells"], "complete to", 2),
}
"""What is broken, how the machine says so, and a seed from which that takes few examples."""


@pytest.mark.parametrize(
    ("broken", "says", "seed"),
    [
        pytest.param(*each, id=name, marks=[pytest.mark.slow] if name == "the fastest lane tells" else [])
        for name, each in TEETH.items()
    ],
)
def test_teeth(monkeypatch: pytest.MonkeyPatch, broken: Callable[[Patch], None], says: str, seed: int) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=says):
        run_machine(ENOUGH // 2, seed)
