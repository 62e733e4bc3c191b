"""The input and output of a peer's process; standard library only, since peers have their own environments.

`python -m benchmarks.peers.NAME --key page --form parquet --out FOLDER --report FILE INPUT...` does the job over the
files and writes answers into FOLDER, as Parquet, JSON Lines or CSV files. FILE gets `start_up_s`, from the start of the
process to being ready to read, and `work_s`, from then to the answers being written.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Task", "main", "task"]

_BEGUN = time.time()


@dataclass(frozen=True)
class Task:
    """One job over files of one form."""

    keys: tuple[str, ...]
    form: str
    """`parquet`, `jsonl`, `avro` or `avro-deflate`."""
    files: tuple[str, ...]
    out: Path
    """An existing, empty folder."""
    report: Path

    @property
    def columns(self) -> list[str]:
        """The fields that the job reads."""
        return list(dict.fromkeys(("event_id", "event_time", *self.keys, "amount", "user_id")))

    def ready(self) -> None:
        """End of start-up: everything is imported and started; work begins."""
        started = float(os.environ.get("BENCHMARK_STARTED", _BEGUN))
        _TIMES.update(ready=time.time(), start_up_s=time.time() - started)

    def done(self) -> None:
        """End of work: answers are written; writes the report."""
        figures = {"start_up_s": _TIMES["start_up_s"], "work_s": time.time() - _TIMES["ready"]}
        self.report.write_text(json.dumps(figures), encoding="utf-8")


_TIMES: dict[str, float] = {}


def task() -> Task:
    """The task of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", action="append", required=True)
    parser.add_argument("--form", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("files", nargs="+")
    flags = parser.parse_args()
    return Task(tuple(flags.key), flags.form, tuple(flags.files), flags.out, flags.report)


def main(work: Callable[[Task], None]) -> None:
    """Do the task of the command line with the modules that are imported by now; `work` writes the answers."""
    one = task()
    one.ready()
    work(one)
    one.done()
