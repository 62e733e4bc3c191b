"""Tandem and its peers in turn on the same events, every answer checked: `python -m benchmarks` (`make bench`).

Rounds are interleaved, A B C ... A B C ..., so that a machine that slows down meanwhile slows all alike. Each sample is
recorded at once; --resume continues an interrupted run. The exit code is 1 if an answer was wrong or an engine failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.inputs.clicks import FORMS, Shape
from benchmarks.measuring.comparing import Comparison, Group
from benchmarks.measuring.engines import ENGINES
from benchmarks.measuring.jobs import JOBS
from benchmarks.measuring.results import RESULTS

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the comparisons that the flags choose; returns the exit code."""
    options = _parser().parse_args(arguments)
    groups = [
        Group(job, form, Shape(events, options.users.get(job, 100_000)))
        for job in options.jobs
        for events in options.events
        for form in options.forms
    ]
    engines = [ENGINES[name] for name in options.only]
    comparison = Comparison("peers", options.results, options.rounds, options.resume, options.timeout)
    right = [comparison.run(group, engines) for group in groups]
    print(f"recorded in {options.results / 'peers.json'}; `python -m benchmarks.report` draws tables and plots")
    return 0 if all(right) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=_some(ENGINES), default=list(ENGINES), metavar="ENGINE,...", help=", ".join(ENGINES)
    )
    parser.add_argument("--jobs", type=_some(JOBS), default=["clicks"], metavar="JOB,...", help=", ".join(JOBS))
    parser.add_argument("--forms", type=_some(FORMS), default=list(FORMS), metavar="FORM,...",
                        help=", ".join(FORMS))  # fmt: skip
    parser.add_argument("--events", type=_numbers, default=[1_000_000, 10_000_000], metavar="N,...",
                        help="distinct events (default: 1000000,10000000)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="samples of each case (default: 3)")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for one process (default: 1800)")
    parser.add_argument("--resume", action="store_true", help="keep the samples that are recorded, take those missing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.set_defaults(users={"clicks_users": 1_000_000})
    return parser


def _some(known: Collection[str]) -> Callable[[str], list[str]]:
    def some(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return some


def _numbers(text: str) -> list[int]:
    numbers = [int(number.replace("_", "")) for number in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{min(numbers)} is not a number of events")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
