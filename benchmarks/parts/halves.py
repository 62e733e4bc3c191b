"""A second worker's gain on these cores: `python -m benchmarks.parts.halves --forms parquet,jsonl,avro`.

In turn, on the same files: one backfill with one worker; one with two; and two backfills at once, of one worker and
half of the files each, which share nothing but the machine: no store, no lock, no step. What these make of it bounds
what two workers of one backfill can. Seconds are of work (see docs/performance.md), of two backfills that of the
slower; the number of events that each run has counted is held against what the files have.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.inputs.clicks import FILE_FORMS, Shape, files
from benchmarks.measuring.engines import ROOT, Tandem
from benchmarks.measuring.jobs import JOBS
from benchmarks.measuring.measure import measured
from benchmarks.measuring.results import RESULTS, Row, record

__all__ = ["main", "side_by_side"]

_JOB: Final = "clicks"


def main(arguments: list[str] | None = None) -> int:
    """Measure the cases that the flags choose; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parts.halves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--forms", default="parquet,jsonl,avro", help="default: parquet,jsonl,avro")
    parser.add_argument("--events", type=int, default=10_000_000, help="distinct events (default: 10000000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    forms = options.forms.split(",")
    if unknown := [form for form in forms if form not in FILE_FORMS]:
        parser.error(f"--forms {unknown[0]!r} is none of {', '.join(FILE_FORMS)}")
    for form in forms:
        _measure(form, options.events, options.rounds, options.results)
    return 0


def _measure(form: str, events: int, rounds: int, folder: Path) -> None:
    paths = files(Shape(events), form)
    middle = (len(paths) + 1) // 2
    cases = {"one": ([paths], 1), "two": ([paths], 2), "halves": ([paths[:middle], paths[middle:]], 1)}
    took: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (parts, workers) in cases.items():
            took[name].append(side_by_side(form, [part for part in parts if part], workers, events))
    one, two, halves = (statistics.median(took[name]) for name in cases)
    figures = {"rounds": rounds, "one_worker_s": one, "two_workers_s": two, "two_halves_s": halves,
               "two_workers_times": round(one / two, 2), "two_halves_times": round(one / halves, 2)}  # fmt: skip
    record("halves", [Row({"form": form, "events": events}, figures)], folder=folder)
    print(f"{form} {events:,}: {figures}", flush=True)


def side_by_side(form: str, parts: Sequence[Sequence[Path]], workers: int, events: int) -> float:
    """Seconds of work of the slowest of as many backfills at once as there are parts. Raises RuntimeError where one
    fails or all of them together haven't counted each event once.
    """
    with tempfile.TemporaryDirectory(prefix="tandem-halves-") as name, ThreadPoolExecutor(len(parts)) as threads:
        folders = [Path(name) / str(number) for number in range(len(parts))]
        found = list(threads.map(lambda part, folder: _backfill(form, part, workers, folder), parts, folders))
    if (counted := sum(count for _, count in found)) != events:
        raise RuntimeError(f"{counted:,} events of {form} counted instead of {events:,}")
    return max(seconds for seconds, _ in found)


def _backfill(form: str, part: Sequence[Path], workers: int, folder: Path) -> tuple[float, int]:
    """Seconds of work, and the number of events in the answers."""
    own = folder / "files"
    own.mkdir(parents=True)
    for path in part:
        (own / path.name).symlink_to(path)
    engine = Tandem("tandem", "Tandem", workers=workers)
    command = engine.command(_JOB, JOBS[_JOB], form, [own / path.name for path in part], folder)
    took = measured(command, cwd=ROOT, log=folder / "log")
    if took.exit_code:
        raise RuntimeError(f"tandem backfill ended with {took.exit_code}: {took.output[-500:]}")
    counted = int(engine.answers(_JOB, JOBS[_JOB], folder).get_column("events").sum())
    return engine.times(took.wall_s, took.output, folder)[1], counted


if __name__ == "__main__":
    sys.exit(main())
