"""Compares every answer of Tandem with the oracle's."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from examples.flights.oracle import Expected, Oracle, Windows, raw_csv
from examples.flights.snapshot import Snapshot
from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.measures.base import Measure
from tandem.schemas.time.windows import Window
from tandem.views.answers.all_steps import AnswerRow, all_answers
from tandem.views.answers.point import answer
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["Comparison", "Difference", "compare", "compare_all", "differences_of", "main", "windows_of"]

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
_SHOWN: Final = 10
_STANDARD_ERRORS: Final = 4
"""The allowed error of an estimate of distinct planes, in its standard errors: 1 estimate in 16,000 is further off."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure whose value differs from the oracle's."""

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
    """The counts of a comparison, and its first differences."""

    compared: int = 0
    """Answers compared, each with all of its measures."""
    equal: int = 0
    values: int = 0
    """Results compared: answers times measures."""
    with_live: int = 0
    """The compared answers that hold events from live."""
    waiting: int = 0
    """Answers left out since they lack late events that wait for batch: exactly as many as the late ledger counts."""
    by_windows: dict[str, int] = field(default_factory=dict)
    """Answers compared, by the windows' name."""
    differences: list[str] = field(default_factory=list)
    """The first differences, a line each."""

    @property
    def all_equal(self) -> bool:
        """Whether answers were compared and none differed."""
        return self.compared > 0 and self.compared == self.equal and not self.differences

    def add(self, name: str, differences: Sequence[Difference], values: int, live: bool = False) -> None:
        """Count one answer."""
        self.compared += 1
        self.values += values
        self.with_live += live
        self.by_windows[name] = self.by_windows.get(name, 0) + 1
        self.equal += not differences
        self.note(differences)

    def note(self, differences: Sequence[Difference]) -> None:
        """Append differences, up to the limit."""
        self.differences.extend(map(str, differences[: max(0, _SHOWN - len(self.differences))]))

    def merge(self, other: Comparison) -> None:
        """Add the counts of another comparison, of other windows."""
        for name in ("compared", "equal", "values", "with_live", "waiting"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, count in other.by_windows.items():
            self.by_windows[name] = self.by_windows.get(name, 0) + count
        self.differences += other.differences

    def lines(self) -> list[str]:
        """The comparison in a line or two."""
        live = f" ({self.with_live:,} with live events)" if self.with_live else ""
        lines = [f"compared {self.compared:,} answers{live}, {self.values:,} values; equal: {self.equal:,}"]
        lines.append(", ".join(f"{name} {count:,}" for name, count in self.by_windows.items()))
        if self.waiting:
            lines.append(f"besides {self.waiting:,} that lacked late events, exactly as many as the late ledger says")
        return lines

    def to_json(self) -> str:
        """One line of JSON with all fields."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """The comparison of `to_json`."""
        return cls(**json.loads(text))


def windows_of(compiled: CompiledDefinition) -> tuple[Windows, ...]:
    """Every tile, every week, and every window that the definition names."""
    tile = compiled.definition.tile
    found = [Windows("tile", tile), Windows("week", 7 * DAY)]
    for name, window in compiled.definition.windows.items():
        if not isinstance(window, Window):
            raise ValueError(f"the oracle has no windows such as {name}")
        slides = window.every < window.size
        found += [Windows(name, window.size, shift, slides) for shift in range(0, window.size, window.every)]
    return tuple(found)


def differences_of(windows: str, row: AnswerRow, expected: Expected, error: Mapping[str, Any]) -> list[Difference]:
    """The differences of one answer: values must be equal, those of sketches within their stated errors."""
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


def _near(found: float | None, exact: int | None, error: float) -> bool:
    if found is None or exact is None:
        return found is exact
    # a few ulps more, since the bound holds for real numbers
    return abs(found - exact) <= abs(exact) * error * (1 + 1e-12)


def compare(
    result: Comparison,
    windows: Windows,
    found: Iterable[AnswerRow],
    expected: Iterable[tuple[str, int, Expected]],
    measures: Mapping[str, Measure],
    late: Mapping[int, int] | None = None,
) -> None:
    """Compare all answers of some windows, both ways: one that only one side has is a difference.

    `late`: events per tile that live left to batch. Only in windows with such tiles an answer may lack events, and all
    answers of a window together must lack exactly so many.
    """
    wanted = {(key, start): answer for key, start, answer in expected}
    pending: dict[int, int] = {}
    for tile, count in (late or {}).items():
        pending[windows.start_of(tile)] = pending.get(windows.start_of(tile), 0) + count
    lacking = dict.fromkeys(pending, 0)
    for row in found:
        answer = wanted.pop((row.key, row.start), None)
        flights = answer.exact["flights"] if answer is not None else 0
        if answer is None:
            result.add(windows.name, [Difference(windows.name, row.key, row.start, "events", row.events, 0)], 1)
        elif row.events < flights and row.start in pending:
            result.waiting += 1
            lacking[row.start] += flights - row.events
        else:
            wrong = differences_of(windows.name, row, answer, measures)
            result.add(windows.name, wrong, len(row.results), row.batch_events < row.events)
    for (key, start), answer in wanted.items():
        flights = answer.exact["flights"]
        if start in pending:
            result.waiting += 1
            lacking[start] += flights
        else:
            result.add(windows.name, [Difference(windows.name, key, start, "events", 0, flights)], 1)
    for start, count in pending.items():
        if lacking[start] != count:
            result.note([Difference(windows.name, "all keys", start, "events lacking", lacking[start], count)])


def compare_all(
    store: ViewStore,
    compiled: CompiledDefinition,
    oracle: Oracle,
    names: Sequence[str] | None = None,
    since: int | None = None,
    asked: int = 200,
) -> Comparison:
    """Compare every answer of the windows with these names (None: of all); with `since` of those that end after it.

    Fixed windows come from `tandem.views.answers.all_steps.all_answers`, sliding ones from a snapshot. For the year,
    `asked` of the sliding windows, taken at random, are queried one by one too, as by a user.
    """
    result, measures = Comparison(), dict(compiled.measures)
    chosen = [windows for windows in windows_of(compiled) if names is None or windows.name in names]
    longest = max(windows.size for windows in chosen)
    snapshot = Snapshot(store, compiled, since - longest if since is not None else None)
    for windows in chosen:
        found = snapshot.answers(windows) if windows.slides else all_answers(store, compiled, windows.size)
        if since is not None:
            found = (row for row in found if row.end > since)
        expected = list(oracle.answers(windows, since))
        late = {tile: n for tile, n in snapshot.late.items() if windows.start_of(tile) + windows.size > (since or 0)}
        compare(result, windows, found, expected, measures, late)
        if windows.slides and since is None:
            shifts = sum(other.name == windows.name for other in chosen)
            sample = random.Random(windows.shift).sample(expected, min(-(-asked // shifts), len(expected)))
            _ask(result, store, compiled, windows, sample)
    return result


def _ask(
    result: Comparison,
    store: ViewStore,
    compiled: CompiledDefinition,
    windows: Windows,
    sample: Iterable[tuple[str, int, Expected]],
) -> None:
    measures, name = dict(compiled.measures), f"{windows.name} asked one by one"
    for key, start, expected in sample:
        reply = answer(store, compiled, key, start, start + windows.size)
        certificate = reply.certificate
        row = AnswerRow(key, start, reply.end, certificate.events, certificate.batch_events, reply.results)
        result.add(name, differences_of(name, row, expected, measures), len(row.results))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the answers that a view store serves; prints a Comparison as JSON. Raises TandemError."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights.comparison")
    parser.add_argument("--definition", type=Path, default=Path(__file__).parent / "flights.yaml")
    parser.add_argument("--store", required=True, help="URL of the view store")
    parser.add_argument("--input", type=Path, required=True, help="folder of the raw data")
    parser.add_argument("--windows", action="append", help="name of the windows to compare; repeatable")
    parser.add_argument("--since", type=int, help="only windows that end after this, microseconds UTC")
    flags = parser.parse_args(arguments)
    compiled = compile_definition(load(flags.definition))
    oracle = Oracle(raw_csv(flags.input))
    result = compare_all(open_store(flags.store), compiled, oracle, flags.windows, flags.since)
    sys.stdout.write(result.to_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
