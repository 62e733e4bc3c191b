"""Schedules of a definition with every kind of measure, and what they are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from breaking.breaks import BREAKS
from samples import sales
from samples.sales import SECOND, START, Sale
from samples.verify_samples import write_lines
from without_runner.worlds import STEPS

from tandem.verification.cases import Case, check_case, module_text, only_needed
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.laws import LawCase, check_law, draw_law_cases
from tandem.verification.oracle.oracle import Oracle
from tandem.verification.sample import read_sample
from tandem.verification.verify import Failure, Settings, Verified, verify
from tandem.verification.world.schedules import Schedule, draw_schedule

SALES = [
    Sale(
        f"s{number}",
        START + number * SECOND,
        shop=[None, "a", "ü"][number % 3],
        amount=[0.1, 1e16, -1e16, 3.5][number % 4],
        units=[None, 1, 2**40, 7][number % 4],
        kind=["book", "film", "skip"][number % 5 % 3],
    )
    for number in range(60)
]
PAYLOADS = tuple(sale.payload() for sale in SALES)


def quick(examples: int) -> Settings:
    return Settings(seed=3, examples=examples)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="messages of JSON"),
        pytest.param({"format": "avro"}, id="messages of Avro"),
        pytest.param({"deduplicate": False}, id="every copy counts"),
    ],
)
def test_every_kind_of_measure_gives_one_answer(options: dict[str, Any], tmp_path: Path) -> None:
    definition, text = sales.definition(**options), sales.text(**options)
    file = write_lines(tmp_path / "sales.jsonl", [sale.record() for sale in SALES])
    sample = read_sample(definition, [file], 40, Random(1))
    done = verify(definition, text, sample, quick(1))
    assert isinstance(done, Verified), done
    assert done.answers > 5
    assert done.divisions == 12 * 13


def test_schedules_are_drawn_from_the_seed_and_hold_every_kind_of_step() -> None:
    oracle = Oracle(sales.compiled())
    events = [oracle.event(payload) for payload in PAYLOADS]

    def draw(seed: int) -> Any:
        return draw_schedule(sales.definition(), events, Random(seed))

    assert draw(1) == draw(1)
    drawn = [draw(seed) for seed in range(30)]
    kinds = Counter(kind for schedule in drawn for kind, _ in schedule.steps)
    assert set(STEPS) - {"publish"} | {"send"} == set(kinds)
    assert {schedule.lanes for schedule in drawn} == {(1,), (2,), (3,), (1, 2, 3)}
    sent = [[pick for kind, pick in schedule.steps if kind == "send"] for schedule in drawn]
    assert any(len(set(picks)) < len(picks) for picks in sent), "copies"
    assert any(picks != sorted(picks) for picks in sent), "disorder"


def test_a_mistake_in_the_product_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    BREAKS["every_copy_counts"](monkeypatch)
    steps = (("send", 4), ("send", 3), ("pull", 1), ("fire", 2), ("send", 3), ("roll", 0), ("send", 9), ("wait", 1))
    case = Case(sales.text(), PAYLOADS, Schedule(1, (1,), 4, steps))
    with pytest.raises(Mismatch):
        check_case(case)
    small = only_needed(replace(case, steps=Schedule(1, (1,), 4, (("send", 3), ("send", 3)))))
    assert small.payloads == (PAYLOADS[3],)
    assert small.steps == Schedule(1, (1,), 4, (("send", 0), ("send", 0)))
    with pytest.raises(Mismatch, match="1"):
        check_case(small)


def test_a_case_as_text_is_the_case(tmp_path: Path) -> None:
    steps = (("send", 0), ("pull", 5), ("reader dies", 77), ("send", 0))
    for made in (Schedule(9, (1, 2), 4, steps), LawCase("revenue", ((0,), (1, 2)), True)):
        case = Case(sales.text(), PAYLOADS[:3], made)
        found: dict[str, object] = {}
        exec(compile(module_text(case, "sales", "x is 1 instead of 2", 5), "case", "exec"), found)
        assert Case(found["DEFINITION"], found["PAYLOADS"], found["STEPS"]) == case  # type: ignore[arg-type]
        assert "test_sales_gives_one_answer" in found


def test_laws_hold_for_every_kind_and_break_for_a_wrong_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = Oracle(sales.compiled())
    events = [oracle.event(payload) for payload in PAYLOADS]
    cases = list(draw_law_cases(oracle.compiled, len(events), Random(1)))
    for case in cases:
        check_law(oracle, events, case)
    BREAKS["merge_loses_a_state"](monkeypatch)
    broken = set()
    for case in cases:
        try:
            check_law(oracle, events, case)
        except Mismatch as mismatch:
            broken.add(mismatch.check)
    assert broken == {"revenue", "units", "mean"}


def test_whatever_a_measure_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def decode(*arguments: object) -> None:
        raise ValueError("no such bytes")

    monkeypatch.setattr("tandem.schemas.measures.encoding.totals.TotalMeasure.decode", decode)
    file = write_lines(tmp_path / "sales.jsonl", [sale.record() for sale in SALES])
    sample = read_sample(sales.definition(), [file], 20, Random(1))
    failure = verify(sales.definition(), sales.text(), sample, quick(1))
    assert isinstance(failure, Failure)
    assert failure.message == "measure revenue (sum): ValueError: no such bytes"
    assert len(failure.case.payloads) == 1
