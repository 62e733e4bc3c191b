"""Checks the laws of a measure on given events: merging parts in any order and nesting equals one computation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from random import Random
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.measures.base import Groups, Measure
from tandem.schemas.measures.registry import identity
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.naive import differs, has_equal_bytes
from tandem.verification.oracle.oracle import Event, Oracle

__all__ = ["LawCase", "check_law", "draw_law_cases"]

_ROUNDS: Final = 12
"""Divisions of the events that are drawn for each measure."""


@dataclass(frozen=True, slots=True)
class LawCase:
    """A division of events into parts, for one measure."""

    measure: str
    parts: tuple[tuple[int, ...], ...]
    """Indices of the payloads in each part, in the order of their arrival."""
    by_key: bool
    """Whether there is a state for each key, as in a tile, or one for all events, as in a window."""


def draw_law_cases(compiled: CompiledDefinition, count: int, random: Random) -> Iterator[LawCase]:
    """Divisions of `count` events: few and many parts, of adjacent or scattered events."""
    for _ in range(_ROUNDS):
        size = random.choice([3, 12, count])
        first = random.randrange(max(count - size, 0) + 1)
        chosen = list(range(count))[first : first + size]
        if random.random() < 0.7:
            random.shuffle(chosen)
        number = min(random.randint(2, 6), max(len(chosen), 1))
        cuts = sorted(random.sample(range(1, len(chosen)), number - 1)) if len(chosen) > 1 else []
        starts, ends = [0, *cuts], [*cuts, len(chosen)]
        parts = tuple(tuple(chosen[start:end]) for start, end in zip(starts, ends, strict=True))
        by_key = random.random() < 0.4
        yield from (LawCase(name, parts, by_key) for name, _ in compiled.measures)


def check_law(oracle: Oracle, events: Sequence[Event | None], case: LawCase) -> None:
    """Check all laws on one division. Raises Mismatch, also for any error of the measure.

    `events`: the event of each payload; None is skipped.
    """
    measure = dict(oracle.compiled.measures)[case.measure]
    parts = [[event for event in map(events.__getitem__, part) if event is not None] for part in case.parts]
    places = sorted({_place(event, case) for part in parts for event in part})
    bench = _Bench(oracle, case, measure, {place: index for index, place in enumerate(places)})
    try:
        bench.check([part for part in parts if part])
    except Mismatch:
        raise
    except Exception as error:
        how = f"measure {case.measure} ({measure.kind}): {type(error).__name__}: {error}"
        raise Mismatch(case.measure, how) from error


def _place(event: Event, case: LawCase) -> str:
    return event.key if case.by_key else ""


@dataclass(frozen=True)
class _Bench:
    oracle: Oracle
    case: LawCase
    measure: Measure
    places: dict[str, int]

    def check(self, parts: Sequence[Sequence[Event]]) -> None:
        everything = [event for part in parts for event in part]
        if not everything:
            return
        whole = self._states(everything)
        self._check_answers("all events at once", whole, everything)
        self._equal("the events in reverse order", self._states(everything[::-1]), whole, everything)
        states = [self._states(part) for part in parts]
        self._equal("all parts merged at once", self._merge(*states), whole, everything)
        self._equal("all parts merged in reverse order", self._merge(*states[::-1]), whole, everything)
        self._equal("parts merged one by one from the left", reduce(self._merge, states), whole, everything)
        self._equal("parts merged one by one from the right", reduce(self._swapped, states[::-1]), whole, everything)
        empty = identity(self.measure, len(self.places))
        self._equal("merged with the state of no events", self._merge(whole, empty), whole, everything)
        self._equal("the state of no events merged with it", self._merge(empty, whole), whole, everything)
        restored = self.measure.decode(self.measure.encode(whole))
        self._equal("written to bytes and read again", restored, whole, everything)
        self._check_alone(whole, everything)

    def _check_alone(self, whole: pa.Array, everything: list[Event]) -> None:
        """Check that a group's state is independent of adjacent groups."""
        if len(self.places) < 2:
            return
        for place, index in self.places.items():
            mine = [event for event in everything if _place(event, self.case) == place]
            alone = self.measure.update(self.oracle.prepared(mine), np.zeros(len(mine), np.int64), 1)
            self._equal(f"key {place} by itself", alone, whole.slice(index, 1), mine, {place: 0})

    def _groups(self, events: Sequence[Event]) -> Groups:
        return np.array([self.places[_place(event, self.case)] for event in events], np.int64)

    def _states(self, events: Sequence[Event]) -> pa.Array:
        return self.measure.update(self.oracle.prepared(events), self._groups(events), len(self.places))

    def _merge(self, *states: pa.Array) -> pa.Array:
        size = len(self.places)
        groups = np.tile(np.arange(size), len(states))
        return self.measure.merge(pa.concat_arrays(list(states)), groups, size)

    def _swapped(self, merged: pa.Array, state: pa.Array) -> pa.Array:
        return self._merge(state, merged)

    def _equal(
        self,
        what: str,
        found: pa.Array,
        wanted: pa.Array,
        events: Sequence[Event],
        places: dict[str, int] | None = None,
    ) -> None:
        """Check that states are equal bit for bit, or else that their answers are within the stated error."""
        self._check_answers(what, found, events, places)
        if not has_equal_bytes(self.measure):
            return
        encode: Callable[[pa.Array], list[Any]] = lambda states: self.measure.encode(states).to_pylist()  # noqa: E731
        one, other = encode(found), encode(wanted)
        for row, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            if mine != theirs:
                results = [repr(self.measure.result(states.slice(row, 1))[0]) for states in (found, wanted)]
                raise self._mismatch(
                    what, f"gives {results[0]}, all at once {results[1]}: their states differ in their bytes"
                )

    def _check_answers(
        self, what: str, states: pa.Array, events: Sequence[Event], places: dict[str, int] | None = None
    ) -> None:
        """Check that the states' answers are those of the naive oracle."""
        results = self.measure.result(states)
        for place, index in (self.places if places is None else places).items():
            rows = [event.row for event in events if _place(event, self.case) == place]
            how = differs(self.measure, results[index], rows, self.oracle.compiled.input_schema)
            if how is not None:
                raise self._mismatch(what, how)

    def _mismatch(self, what: str, how: str) -> Mismatch:
        name, kind = self.case.measure, self.measure.kind
        return Mismatch(name, f"measure {name} ({kind}): {what}: {how}")
