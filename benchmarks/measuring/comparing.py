"""Engines in turn on one group of files, each sample measured, checked and recorded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from benchmarks.inputs.clicks import Shape, files
from benchmarks.measuring.checking import compare, oracle
from benchmarks.measuring.engines import ROOT, Engine
from benchmarks.measuring.jobs import JOBS
from benchmarks.measuring.measure import measured
from benchmarks.measuring.results import RESULTS, Row, load, record

__all__ = ["RIGHT", "SKIPPED", "Comparison", "Group"]

RIGHT: Final = "right"
WRONG: Final = "WRONG"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
_SAMPLES: Final = ("wall_s", "start_up_s", "work_s", "cpu_s", "peak_mb", "distinct_error")


@dataclass(frozen=True)
class Group:
    """One job over one set of files; engines are compared within it."""

    job: str
    form: str
    shape: Shape
    seeds: int = 1
    """Number of sets of events of that shape, from different seeds."""
    series: str = ""
    """The series of `growth` that the case is a point of."""

    @property
    def events(self) -> int:
        """Distinct events."""
        return self.shape.events * self.seeds

    def files(self, form: str) -> list[Path]:
        """The files of the events; made at the first call."""
        shapes = [replace(self.shape, seed=self.shape.seed + number) for number in range(self.seeds)]
        return [file for shape in shapes for file in files(shape, form)]

    def case(self, engine: Engine) -> dict[str, str | int]:
        """The fields that identify the recorded row."""
        shape = self.shape
        case: dict[str, str | int] = {
            "job": self.job,
            "form": self.form,
            "events": self.events,
            "users": shape.users,
            "pages": shape.pages,
        }
        case["engine"] = engine.name
        return {**case, "series": self.series} if self.series else case


@dataclass
class Comparison:
    """A run over groups; `name` is that of the results."""

    name: str
    folder: Path = RESULTS
    rounds: int = 3
    resume: bool = False
    timeout: float = 1800.0
    """Time limit of one process in seconds."""
    _rows: dict[Any, dict[str, Any]] = field(default_factory=dict)

    def run(self, group: Group, engines: Iterable[Engine]) -> bool:
        """Run all rounds of a group; returns False if an answer was wrong or an engine failed."""
        able = [one for one in engines if group.form in one.forms and group.events <= one.most_events]
        if not able:
            return True
        paths = group.files(group.form)
        truth = oracle(JOBS[group.job], group.files("parquet"))
        for engine in able:
            self._rows[self._identity(group, engine)] = self._begun(group, engine)
        for number in range(self.rounds):
            for engine in able:
                figures = self._rows[self._identity(group, engine)]
                if figures["status"] in ("", RIGHT) and len(figures["wall_s"]) <= number:
                    self._sample(group, engine, paths, truth, figures)
                    record(self.name, [Row(group.case(engine), figures)], folder=self.folder)
                    print(_line(group, engine, figures), flush=True)
        return all(self._rows[self._identity(group, one)]["status"] in (RIGHT, SKIPPED) for one in able)

    def _identity(self, group: Group, engine: Engine) -> Any:
        return Row(group.case(engine), {}).identity

    def _begun(self, group: Group, engine: Engine) -> dict[str, Any]:
        """The figures so far, to which samples are added."""
        fresh: dict[str, Any] = {"status": "", "why": "", **{name: [] for name in _SAMPLES}}
        if not self.resume:
            return fresh
        recorded = {row.identity: row.figures for row in load(self.name, folder=self.folder)}
        old = recorded.get(self._identity(group, engine))
        return dict(old) if old and old["status"] == RIGHT else fresh

    def _sample(
        self, group: Group, engine: Engine, paths: Sequence[Path], truth: pl.DataFrame, figures: dict[str, Any]
    ) -> None:
        """Run one process, measure and check it."""
        keys, folder = JOBS[group.job], Path(tempfile.mkdtemp(prefix="tandem-bench-"))
        try:
            command = engine.command(group.job, keys, group.form, paths, folder)
            took = measured(command, cwd=ROOT, log=folder / "log", environment=engine.variables(), timeout=self.timeout)
            if took.exit_code:
                figures.update(status=FAILED, why=f"exit code {took.exit_code}: {_reason(took.output)}")
                return
            start_up, work = engine.times(took.wall_s, took.output, folder)
            answers = engine.answers(group.job, keys, folder)
            verdict = compare(answers, truth, keys, error=engine.error, exact_sums=engine.exact_sums)
            figures.update(status=WRONG if verdict.wrong else RIGHT, why=verdict.wrong or "")
            samples = (took.wall_s, start_up, work, took.cpu_s, took.peak_mb, verdict.distinct_error)
            for name, value in zip(_SAMPLES, samples, strict=True):
                figures[name].append(round(value, 4))
        except LookupError as missing:
            figures.update(status=SKIPPED, why=str(missing))
        except Exception as error:
            # Whatever an engine leaves, the others continue, and the table shows it.
            figures.update(status=FAILED, why=f"{type(error).__name__}: {error}"[:300])
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "Caused by" in line or "Error" in line or "Exception" in line]
    return (telling or lines or ["no output"])[-1][:200]


def _line(group: Group, engine: Engine, figures: dict[str, Any]) -> str:
    what = f"{group.job} {group.form} {group.events:,} {engine.label}"
    if figures["status"] in (FAILED, SKIPPED):
        return f"{what}: {figures['status']}: {figures['why']}"
    shown = ", ".join(f"{name.rpartition('_')[0]} {figures[name][-1]:.2f}" for name in _SAMPLES[:4])
    ending = f"{figures['status']} {figures['why']}".strip()
    return f"{what}: {shown} s, {figures['peak_mb'][-1]:,.0f} MB, {ending}"
