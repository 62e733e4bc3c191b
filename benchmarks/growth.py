"""How time and memory grow with events, keys, lanes and definitions: `python -m benchmarks.growth`.

Each series changes one thing of the job `clicks` on Parquet (lanes: on a journal of JSON messages) and leaves the
others. More than ten million events are several sets of ten million, from different seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.inputs.clicks import JOURNAL_FORMS, Shape, json_messages
from benchmarks.measuring.comparing import Comparison, Group
from benchmarks.measuring.engines import ENGINES, Engine, Tandem
from benchmarks.measuring.results import RESULTS, Row

__all__ = ["ALL_ENGINES", "SERIES", "grown_to", "main"]

SERIES: Final = ("events", "keys", "lanes", "definitions")
_TEN: Final = Tandem("tandem-10d", "Tandem, ten definitions", error=0.02, exact_sums=True, definitions=10)
ALL_ENGINES: Final[dict[str, Engine]] = {**ENGINES, _TEN.name: _TEN}
_SET: Final = 10_000_000
_KEYS: Final = (1_000, 100_000, 1_000_000)
_LANES: Final = {form: lanes for form, (payloads, lanes) in JOURNAL_FORMS.items() if payloads is json_messages}


def main(arguments: list[str] | None = None) -> int:
    """Run the series that the flags choose; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--series", default=",".join(SERIES), help=f"default: {','.join(SERIES)}")
    parser.add_argument("--events", default="1000000,10000000", help="default: 1000000,10000000; also 100000000")
    parser.add_argument("--keys", default=",".join(map(str, _KEYS)), help=f"default: {','.join(map(str, _KEYS))}")
    parser.add_argument("--fixed", type=int, default=1_000_000, help="events of the other series (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one process (default: 3600)")
    parser.add_argument("--resume", action="store_true", help="keep the samples that are recorded, take those missing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    series = options.series.split(",")
    if unknown := [name for name in series if name not in SERIES]:
        parser.error(f"--series {unknown[0]!r} is none of {', '.join(SERIES)}")
    events, keys = _numbers(options.events), _numbers(options.keys)
    comparison = Comparison("growth", options.results, options.rounds, options.resume, options.timeout)
    right = [comparison.run(group, engines) for group, engines in _points(series, events, keys, options.fixed)]
    return 0 if all(right) else 1


def grown_to(row: Row) -> int:
    """The number that the row's series changes: lanes, keys or events; of definitions, its events."""
    if row.case["series"] == "lanes":
        return _LANES[str(row.case["form"])]
    return int(row.case["pages" if row.case["series"] == "keys" else "events"])


def _points(
    series: Sequence[str], events: Iterable[int], keys: Iterable[int], fixed: int
) -> Iterable[tuple[Group, Sequence[Engine]]]:
    base = Group("clicks", "parquet", Shape(fixed))
    engines = [ALL_ENGINES[name] for name in ("tandem", "polars", "duckdb")]
    if "events" in series:
        for number in events:
            sets = max(number // _SET, 1)
            # Polars holds about 3 GB at ten million.
            able = engines if sets == 1 else [engine for engine in engines if engine.name != "polars"]
            yield replace(base, shape=Shape(number // sets), seeds=sets, series="events"), able
    if "keys" in series:
        for number in keys:
            yield replace(base, shape=Shape(fixed, pages=number), series="keys"), engines
    if "lanes" in series:
        for form in _LANES:
            yield replace(base, form=form, series="lanes"), [ALL_ENGINES["tandem"]]
    if "definitions" in series:
        yield replace(base, series="definitions"), [ALL_ENGINES["tandem"], ALL_ENGINES["tandem-10d"]]


def _numbers(text: str) -> list[int]:
    return [int(number.replace("_", "")) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
