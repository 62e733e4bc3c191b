"""What `live` shows: rate and its last minute, lag, freshness, backlog; escaped, and on narrow terminals whole."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tandem.pipelines.unbounded.facts import Rates, ago, facts_of, problem_of, sparkline
from tandem.pipelines.unbounded.screen import looks, screen_of
from tandem.schemas.errors import TandemError

SECOND = 1_000_000
NOW = 1_767_600_000 * SECOND


def facts(received: int, rates: Rates, early: int = 0, **more: Any) -> Any:
    generation = {"received": received, "late": 2, "dead": 1}
    run: dict[str, Any] = {"run": "000001-aa", "version": "v", "generations": {1: generation}, "residues": {1: 7}}
    run |= {"watermark": NOW - 65 * SECOND, "updated_at": NOW - SECOND // 2, "early": early}
    definition: Any = SimpleNamespace(name="clicks", version="v")
    return facts_of(definition, "000001-aa", True, {"live_runs": [run], "served": {"boundary": 4}}, rates, NOW, **more)


def test_rates_and_their_history() -> None:
    clock = iter([0.0, 1.0, 2.0, 4.0])
    rates = Rates(clock=lambda: next(clock))
    found = [facts(received, rates) for received in (0, 100, 300, 300)]
    assert [each.rate for each in found] == [0.0, 100.0, 200.0, 0.0]
    assert found[-1].history == "▁▅█▁"
    assert (found[-1].lag, found[-1].freshness, found[-1].backlog) == (65 * SECOND, SECOND // 2, 7)
    line = found[-1].line()
    assert line.startswith("clicks: run 000001-aa, serving, 0/s, lag 1m05s, fresh 0.5s ago, backlog 7, received 300, ")


def test_looks_that_take_long_are_further_apart() -> None:
    waits, ends = list[float](), iter([False, False, False, True])

    class Stop:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return next(ends)

    stop: Any = Stop()
    clock = iter([0.0, 0.1, 5.0, 8.0, 20.0, 20.01])
    assert len(list(looks(stop, lambda: next(clock)))) == 3
    assert waits == [1.0, 1.0, 12.0, 1.0], "no more than a fifth of the time goes into them"


@pytest.mark.parametrize("early", [0, 1_200])
def test_times_in_january_1970_are_asked_about(early: int) -> None:
    found = facts(1_300, Rates(), early=early)
    file = io.StringIO()
    Console(file=file, width=80).print(screen_of([found]))
    for text in (found.line(), file.getvalue()):
        assert ("1,200 events in January 1970: are they seconds, or milliseconds?" in text) is bool(early)


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        pytest.param([], "", id="none"),
        pytest.param([0.0, 0.0], "▁▁", id="nothing"),
        pytest.param([1.0, 2.0, 4.0, 8.0], "▂▃▅█", id="growing"),
        pytest.param([5.0], "█", id="one"),
    ],
)
def test_sparklines(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


@pytest.mark.parametrize(
    ("duration", "text"), [(0, "0.0s"), (-5, "0.0s"), (47, "47s"), (192, "3m12s"), (18_420, "5h07m")]
)
def test_durations(duration: int, text: str) -> None:
    assert ago(duration * SECOND) == text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_screen_cuts_nothing_and_obeys_nothing(width: int) -> None:
    shown = [facts(1_234_567, Rates(), newest='2026-01-05T08:00:00Z: n 3 of 1 keys: ["\x1b[2J[red]"] 3')]
    shown.append(problem_of(SimpleNamespace(name="orders"), "000002-bb", TandemError("[red]\x1b[31mgone")))  # type: ignore[arg-type]
    file = io.StringIO()
    Console(file=file, width=width).print(screen_of(shown))
    text = " ".join(file.getvalue().split())
    for part in ("1,234,567", "lag 1m05s", "backlog 7", "000001-aa", r"\x1b[2J[red]", r"[red]\x1b[31mgone"):
        assert part in text, text
    assert "\x1b" not in text
