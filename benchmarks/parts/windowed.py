"""Windowed measures beside Beam's own combiners, in turn, on the same clicks: `python -m benchmarks.parts.windowed`.

The job is in `measuring.windowed_jobs`. All of them run in this process on the FnApiRunner, where reading is nothing
but handing over what is in memory, and every answer of every round is held against Beam's own: numbers, least and most
must be equal, sums and means within 1e-9. Seconds are of the processor (user and system), which a busy machine
lengthens less than the clock; both are recorded.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.measuring import windowed_jobs
from benchmarks.measuring.results import RESULTS, Figure, Row, record

__all__ = ["main", "measure"]

_FORMS: Final = {"dicts": "dicts, Beam's combiners", "record batches": "record batches, Beam's combiners"}
"""Forms of events, and the job with which the others of the form are compared."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and record; the exit code is 1 if an answer is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parts.windowed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=200_000, help="default: 200000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    rows, wrong = measure(options.events, options.rounds)
    for row in rows:
        print(
            f"{row.case['job']:38} {row.figures['processor_s']:>8} s  {row.figures['times_as_fast']:>6} times as fast"
        )
    record("windowed", rows, folder=options.results)
    for job in wrong:
        print(f"WRONG: {job}", file=sys.stderr)
    return 1 if wrong else 0


def measure(events: int, rounds: int) -> tuple[list[Row], list[str]]:
    """(a row a job, jobs whose answers were wrong)."""
    for number in range(-(-events // windowed_jobs.CHUNK)):
        windowed_jobs.dicts(events, number)  # read once, and kept
    took: dict[str, list[tuple[float, float]]] = {job: [] for job in windowed_jobs.JOBS}
    wrong: list[str] = []
    for _ in range(rounds):
        for job in windowed_jobs.JOBS:
            begun = time.perf_counter(), time.process_time()
            windowed_jobs.run(job, events)
            took[job].append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
            found = dict(windowed_jobs.ANSWERS)
            if job == next(iter(windowed_jobs.JOBS)):
                right = found
            elif not _equal(right, found):
                wrong.append(job)
    return [_row(job, events, took) for job in took], wrong


def _row(job: str, events: int, took: dict[str, list[tuple[float, float]]]) -> Row:
    beams = next(beams for form, beams in _FORMS.items() if job.startswith(form))
    seconds, of_beam = (statistics.median(processor for _, processor in took[one]) for one in (job, beams))
    figures: dict[str, Figure] = {
        "rounds": len(took[job]),
        "wall_s": [round(wall, 2) for wall, _ in took[job]],
        "processor_s": round(seconds, 2),
        "events_per_s": round(events / seconds),
        "times_as_fast": round(of_beam / seconds, 1),
    }
    return Row({"job": job, "events": events}, figures)


def _equal(right: windowed_jobs.Answers, found: windowed_jobs.Answers) -> bool:
    return right.keys() == found.keys() and all(_same(right[key], found[key]) for key in right)


def _same(right: Sequence[float], found: Sequence[float]) -> bool:
    number, total, least, most, mean = right
    exact = (number, least, most) == (found[0], found[2], found[3])
    return exact and math.isclose(total, found[1], rel_tol=1e-9) and math.isclose(mean, found[4], rel_tol=1e-9)


if __name__ == "__main__":
    sys.exit(main())
