"""Shrinks failing cases: delta debugging (A. Zeller, R. Hildebrandt, IEEE TSE 28(2), 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tandem.verification.oracle.laws import LawCase
from tandem.verification.world.schedules import Schedule, Step

__all__ = ["Effort", "shrink_law", "shrink_schedule", "smallest"]

Item = TypeVar("Item")


@dataclass(slots=True)
class Effort:
    """The remaining effort of a search."""

    runs: int
    """Number of cases that may still be run."""
    is_over: Callable[[], bool] = lambda: False
    """Whether time is up."""

    def spend(self) -> bool:
        """Count one more case; returns whether it may be run."""
        if self.runs <= 0 or self.is_over():
            return False
        self.runs -= 1
        return True


def smallest(items: Sequence[Item], fails: Callable[[list[Item]], bool], effort: Effort) -> list[Item]:
    """A part of `items`, in their order, that still fails; minimal if effort allows."""
    kept, size = list(items), max(len(items) // 2, 1)
    while kept:
        at, removed = 0, False
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if not effort.spend():
                return kept
            if fails(fewer):
                kept, removed = fewer, True
            else:
                at += size
        if size == 1 and not removed:
            break
        size = max(min(size // 2, len(kept) // 2), 1)
    return kept


def shrink_law(case: LawCase, fails: Callable[[LawCase], bool], effort: Effort) -> LawCase:
    """A failing case with fewer events, in fewer parts."""
    if case.by_key and effort.spend() and fails(replace(case, by_key=False)):
        case = replace(case, by_key=False)

    def built(items: Sequence[tuple[int, int]]) -> LawCase:
        numbers = dict.fromkeys(part for part, _ in items)
        return replace(case, parts=tuple(tuple(i for part, i in items if part == number) for number in numbers))

    items = [(number, index) for number, part in enumerate(case.parts) for index in part]
    return built(smallest(items, lambda fewer: fails(built(fewer)), effort))


def shrink_schedule(schedule: Schedule, fails: Callable[[Schedule], bool], effort: Effort) -> Schedule:
    """A failing schedule with fewer steps, one lane, and messages that are pulled together."""
    only_sent = tuple(step for step in schedule.steps if step[0] == "send")
    if effort.spend() and fails(replace(schedule, steps=only_sent)):
        schedule = replace(schedule, steps=only_sent)
    if effort.spend() and fails(replace(schedule, lanes=(1,))):
        schedule = replace(schedule, lanes=(1,))

    def built(steps: Sequence[Step]) -> Schedule:
        return replace(schedule, steps=tuple(steps))

    return built(smallest(schedule.steps, lambda fewer: fails(built(fewer)), effort))
