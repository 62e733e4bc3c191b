"""Hold every answer of Tandem against the oracle's."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from examples.flights.oracle import Expected, Oracle, Windows
from schemas.certificate import time_text
from schemas.compiled import CompiledDefinition
from schemas.measures.registry import Measure
from views.answers import AnswerRow, all_answers, answer
from views.merging import decode_states
from views.reading import all_rows, late_by_tile, read_scope
from views.store import ViewStore

__all__ = ["Comparison", "Difference", "Snapshot", "compare", "compare_all", "differences_of", "windows_of"]

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
_SHOWN: Final = 10
_STANDARD_ERRORS: Final = 4
"""An estimate of distinct planes may be off by this many of its standard errors: 1 in 16,000 is further off."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure that isn't what it must be."""

    windows: str
    key: str
    start: int
    measure: str
    found: Any
    expected: Any

    def __str__(self) -> str:
        at = f"{self.windows} of {self.key} from {time_text(self.start)}"
        return f"{at}: {self.measure} is {self.found!r}, must be {self.expected!r}"


@dataclass(slots=True)
class Comparison:
    """What a comparison came to."""

    compared: int = 0
    """Answers compared, each with all of its measures."""
    equal: int = 0
    values: int = 0
    """Results compared: answers times measures."""
    with_live: int = 0
    """Of the answers compared those that hold events from live."""
    waiting: int = 0
    """Answers left out since late events wait for batch in their window; held by their number of events instead."""
    by_windows: dict[str, int] = field(default_factory=dict)
    """Answers compared, by the windows' name."""
    differences: list[Difference] = field(default_factory=list)
    """The first of them."""

    @property
    def all_equal(self) -> bool:
        """Whether there was something to compare and no difference."""
        return self.compared > 0 and self.compared == self.equal and not self.differences

    def add(self, name: str, differences: Sequence[Difference], values: int, live: bool = False) -> None:
        """Count one answer."""
        self.compared += 1
        self.values += values
        self.with_live += live
        self.by_windows[name] = self.by_windows.get(name, 0) + 1
        self.equal += not differences
        self.differences.extend(differences[: max(0, _SHOWN - len(self.differences))])


def windows_of(compiled: CompiledDefinition) -> tuple[Windows, ...]:
    """Every tile, every week, and every window that the definition names."""
    tile = compiled.definition.tile
    named = (Windows(name, window.size, window.every) for name, window in compiled.definition.windows.items())
    return (Windows("tile", tile, tile), Windows("week", 7 * DAY, 7 * DAY), *named)


def differences_of(windows: str, row: AnswerRow, expected: Expected, error: Mapping[str, Any]) -> list[Difference]:
    """What is wrong in one answer: nothing may differ but the sketches, which have their stated errors."""
    found = row.results
    wrong = [(name, found[name], value) for name, value in expected.exact.items() if found[name] != value]
    if row.events != expected.exact["flights"]:
        wrong.append(("events", row.events, expected.exact["flights"]))
    planes, k = expected.planes, error["planes_estimated"].k
    allowed = _STANDARD_ERRORS * error["planes_estimated"].error * planes if planes >= k else 0
    if abs(found["planes_estimated"] - planes) > allowed:
        wrong.append(("planes_estimated", found["planes_estimated"], planes))
    for name, value in expected.delays.items():
        if not _near(found["delays"][name], value, error["delays"].error):
            wrong.append((f"delays at {name}", found["delays"][name], value))
    return [Difference(windows, row.key, row.start, *item) for item in wrong]


def _near(found: float | None, exact: float | None, error: float) -> bool:
    if found is None or exact is None:
        return found is exact
    # a few ulps more, since the bound holds for real numbers
    return abs(found - exact) <= abs(exact) * error * (1 + 1e-12)


class Snapshot:
    """All stored states of one instant, decoded once, from which any windows are merged as `views.answers` does.

    The interface answers windows one by one; there are more than 300,000 to be compared.
    """

    def __init__(self, store: ViewStore, compiled: CompiledDefinition, since: int | None = None) -> None:
        """`since`: leave tiles before it out (event time, microseconds UTC)."""
        least = since if since is not None else -(1 << 62)
        with store.database.read() as connection:
            scope = read_scope(connection, store.chains, compiled)
            rows = [row for part in all_rows(connection, scope) for row in part if row.tile >= least]
            self.late = late_by_tile(connection, scope, -(1 << 62), 1 << 62)
        self.boundary, self.live_run = scope.boundary, scope.live_run
        self._compiled = compiled
        self._keys = sorted({row.key for row in rows})
        places = {key: place for place, key in enumerate(self._keys)}
        self._place = np.array([places[row.key] for row in rows], np.int64)
        self._tile = np.array([row.tile for row in rows], np.int64)
        self._events = np.array([row.events for row in rows], np.int64)
        self._batch = np.array([0 if row.generation else row.events for row in rows], np.int64)
        self._states = decode_states(compiled.measures, [row.states for row in rows], compiled.definition.name)

    def answers(self, windows: Windows) -> Iterator[AnswerRow]:
        """Every key and window that holds events."""
        for shift in range(0, windows.size, windows.every):
            yield from self._fixed(windows.size, shift)

    def _fixed(self, size: int, shift: int) -> Iterator[AnswerRow]:
        number = (self._tile - shift) // size
        lowest, span = int(number.min()), int(number.max() - number.min()) + 1
        codes, groups = np.unique(self._place * span + number - lowest, return_inverse=True)
        columns = [
            measure.result(measure.merge(states, groups, len(codes)))
            for (_, measure), states in zip(self._compiled.measures, self._states, strict=True)
        ]
        names = [name for name, _ in self._compiled.measures]
        events, batch = (_sums(values, groups, len(codes)) for values in (self._events, self._batch))
        for code, count, from_batch, *values in zip(codes.tolist(), events, batch, *columns, strict=True):
            start = (code % span + lowest) * size + shift
            results = dict(zip(names, values, strict=True))
            yield AnswerRow(self._keys[code // span], start, start + size, count, from_batch, results)


def _sums(values: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], size: int) -> list[int]:
    total = np.zeros(size, np.int64)
    np.add.at(total, groups, values)
    return [int(value) for value in total]


def compare(
    result: Comparison,
    windows: Windows,
    found: Iterable[AnswerRow],
    expected: Iterable[tuple[str, int, Expected]],
    measures: Mapping[str, Measure],
    late: Mapping[int, int] | None = None,
) -> None:
    """Compare all answers of some windows, both ways: one that only one side has is a difference.

    `late`: events per tile that live left to batch. Answers of windows with such tiles can't be equal yet; of them all
    together exactly so many events must be missing.
    """
    wanted = {(key, start): answer for key, start, answer in expected}
    tiles = np.array(sorted(late or ()), np.int64)
    missing: dict[int, int] = {}
    for row in found:
        answer = wanted.pop((row.key, row.start), None)
        if answer is None:
            result.add(windows.name, [Difference(windows.name, row.key, row.start, "events", row.events, 0)], 1)
        elif _touches(tiles, row.start, row.end):
            result.waiting += 1
            missing[row.start] = missing.get(row.start, 0) + answer.exact["flights"] - row.events
        else:
            wrong = differences_of(windows.name, row, answer, measures)
            result.add(windows.name, wrong, len(row.results), row.batch_events < row.events)
    for (key, start), answer in wanted.items():
        flights = answer.exact["flights"]
        if _touches(tiles, start, start + windows.size):
            result.waiting += 1
            missing[start] = missing.get(start, 0) + flights
        else:
            result.add(windows.name, [Difference(windows.name, key, start, "events", 0, flights)], 1)
    for start, count in missing.items():
        pending = sum(n for tile, n in (late or {}).items() if start <= tile < start + windows.size)
        if count != pending:
            result.differences.append(Difference(windows.name, "all keys", start, "late events", pending, count))


def _touches(tiles: npt.NDArray[np.int64], start: int, end: int) -> bool:
    return bool(len(tiles)) and bool(np.searchsorted(tiles, start) < np.searchsorted(tiles, end))


def compare_all(
    store: ViewStore, compiled: CompiledDefinition, oracle: Oracle, since: int | None = None, asked: int = 200
) -> Comparison:
    """Every answer there is; with `since` of those windows only that end after it.

    Tiles and fixed windows come from `views.answers.all_answers`, sliding ones from a snapshot, and `asked` windows taken
    at random are asked for one by one, as a user would.
    """
    result, measures = Comparison(), dict(compiled.measures)
    every_window = windows_of(compiled)
    longest = max(windows.size for windows in every_window)
    snapshot = Snapshot(store, compiled, since - longest if since is not None else None)
    for windows in every_window:
        if windows.size == windows.every:
            found = all_answers(store, compiled, windows.size)
        else:
            found = snapshot.answers(windows)
        if since is not None:
            found = (row for row in found if row.end > since)
        compare(result, windows, found, oracle.answers(windows, since), measures, snapshot.late)
    if since is None:
        _ask(result, store, compiled, oracle, asked)
    return result


def _ask(
    result: Comparison, store: ViewStore, compiled: CompiledDefinition, oracle: Oracle, asked: int
) -> None:
    measures = dict(compiled.measures)
    random_source = random.Random(2013)
    *_, windows = windows_of(compiled)
    sample = random_source.sample(list(oracle.answers(windows)), asked)
    for key, start, expected in sample:
        reply = answer(store, compiled, key, start, start + windows.size)
        certificate = reply.certificate
        row = AnswerRow(key, start, reply.end, certificate.events, certificate.batch_events, reply.results)
        wrong = differences_of(f"{windows.name}, asked", row, expected, measures)
        result.add(f"{windows.name}, asked one by one", wrong, len(row.results))
