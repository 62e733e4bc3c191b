"""Verifies a definition with a sample of its events: batch, live and every mix must give the oracle's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.verification.cases import Case, check_case, only_needed
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.laws import LawCase, check_law, draw_law_cases
from tandem.verification.oracle.oracle import Event, Oracle
from tandem.verification.running import run_schedule
from tandem.verification.sample import Sample
from tandem.verification.shrinking import Effort, shrink_law, shrink_schedule
from tandem.verification.world.schedules import Schedule, draw_schedule

__all__ = ["Failure", "Settings", "Verified", "verify"]

_SHRINK_RUNS: Final = 150
_LAW_SHRINK_RUNS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Settings:
    """The thoroughness of a verification."""

    seed: int
    examples: int
    """Number of schedules."""
    is_over: Callable[[], bool] = lambda: False
    """Whether time is up: no further schedule is begun."""
    must_end: Callable[[], bool] = lambda: False
    """Whether shrinking must stop with the smallest failing case so far."""
    progress: Callable[[str], None] = lambda text: None
    """Called with a description of the current step, at intervals."""


@dataclass(slots=True)
class Verified:
    """Numbers of comparisons, all without a difference."""

    events: int
    schedules: int = 0
    divisions: int = 0
    """Divisions of the events into parts on which the laws of a measure were checked."""
    boundaries: int = 0
    """Positions of the boundary between batch and live at which all answers were compared."""
    answers: int = 0
    alerts: int = 0
    """Settled alerts that were compared with a backtest's."""
    late: int = 0
    copies: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Failure:
    """A difference, and the smallest case found that shows it."""

    message: str
    case: Case


def verify(
    definition: Definition, text: str, sample: Sample, settings: Settings, measures: Sequence[str] = ()
) -> Verified | Failure:
    """Check the laws of each measure on the sample, then schedules of it. Ends at the first difference.

    Args:
        definition: to be verified.
        text: its YAML, including the Avro schema.
        sample: events.
        settings: the thoroughness.
        measures: modules of the user's own measures, for the written case.
    """
    oracle = Oracle(compile_definition(definition))
    events = [oracle.event(payload) for payload in sample.payloads]
    done = Verified(sample.events)
    whole = Case(text, sample.payloads, Schedule(0, (1,), 1, ()), tuple(measures))
    random = Random(settings.seed)
    settings.progress("laws of the measures")
    failed = _broken_law(oracle, events, random, done)
    if failed is not None:
        return _shrunk_law(oracle, events, replace(whole, steps=failed[0]), failed[1], settings)
    while done.schedules < settings.examples and (not done.schedules or not settings.is_over()):
        settings.progress(f"schedule {done.schedules + 1} of {settings.examples}")
        schedule = draw_schedule(definition, events, random)
        try:
            found = run_schedule(definition, text, sample.payloads, schedule, oracle)
        except Mismatch as mismatch:
            return _shrunk(oracle, replace(whole, steps=schedule), mismatch, settings)
        done.schedules += 1
        done.boundaries += found.boundaries
        done.answers += found.answers
        done.alerts += found.alerts
        done.late += found.late
        done.copies += found.copies
        done.kinds += found.kinds
    return done


def _broken_law(
    oracle: Oracle, events: Sequence[Event | None], random: Random, done: Verified
) -> tuple[LawCase, Mismatch] | None:
    for case in draw_law_cases(oracle.compiled, len(events), random):
        try:
            check_law(oracle, events, case)
        except Mismatch as mismatch:
            return case, mismatch
        done.divisions += 1
    return None


def _shrunk_law(
    oracle: Oracle, events: Sequence[Event | None], case: Case, mismatch: Mismatch, settings: Settings
) -> Failure:
    assert isinstance(case.steps, LawCase)
    settings.progress(f"{mismatch}; looking for the smallest case")
    fails = lambda tried: _fails(lambda: check_law(oracle, events, tried), mismatch)  # noqa: E731
    steps = shrink_law(case.steps, fails, Effort(_LAW_SHRINK_RUNS, settings.must_end))
    return _failure(oracle, replace(case, steps=steps), mismatch)


def _shrunk(oracle: Oracle, case: Case, mismatch: Mismatch, settings: Settings) -> Failure:
    assert isinstance(case.steps, Schedule)
    settings.progress(f"{mismatch}; looking for the smallest case")
    definition = oracle.compiled.definition

    def fails(tried: Schedule) -> bool:
        run: Callable[[], Any] = lambda: run_schedule(definition, case.definition, case.payloads, tried, oracle)  # noqa: E731
        return _fails(run, mismatch)

    steps = shrink_schedule(case.steps, fails, Effort(_SHRINK_RUNS, settings.must_end))
    return _failure(oracle, replace(case, steps=steps), mismatch)


def _fails(run: Callable[[], Any], mismatch: Mismatch) -> bool:
    try:
        run()
    except Mismatch as found:
        return found.check == mismatch.check
    return False


def _failure(oracle: Oracle, case: Case, mismatch: Mismatch) -> Failure:
    """The failure of a case, with the difference that the small case shows."""
    case = only_needed(case)
    try:
        check_case(case, oracle)
    except Mismatch as found:
        return Failure(str(found), case)
    return Failure(str(mismatch), case)
