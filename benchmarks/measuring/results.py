"""The measured figures, kept as JSON in benchmarks/results/NAME.json; tables and plots are drawn from them.

A file holds rows. A row's `case` names what was measured (engine, form, events, ...) and is its identity: recording a
row of the same case replaces the one before and keeps all others, so that a run over some cases adds to earlier runs.
Its `figures` are the outcome; a list is the samples of several rounds, or a series over time. Each row names the
machine that it was measured on.

::

    record("live", [Row({"rate": 20_000, "messages": "avro"}, {"freshness_p50_s": 0.8, "backlog": [0, 3, 1]})])
    load("live")
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

__all__ = ["RESULTS", "Case", "Figure", "Row", "load", "machine", "machines", "median", "record", "report", "spread"]

RESULTS: Final = Path(__file__).resolve().parents[1] / "results"
_PACKAGES: Final = (
    "apache-beam",
    "duckdb",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "fastavro",
    "pyruhvro",
    "tandem-beam",
)

Case = Mapping[str, str | int]
Figure = float | int | str | None | Sequence[Any]


@dataclass(frozen=True)
class Row:
    """One case and its figures; names of figures end with their unit: `_s`, `_mb` (1,000,000 bytes), `_per_s`."""

    case: Case
    figures: Mapping[str, Figure]
    measured_at: str = ""
    """UTC, ISO 8601; set by `record` where empty."""
    machine: str = field(default="")
    """Its key in `machines()`; set by `record` where empty."""

    @property
    def identity(self) -> tuple[tuple[str, str | int], ...]:
        """The case as a sorted tuple."""
        return tuple(sorted(self.case.items()))


def report(name: str, case: Case, figures: Mapping[str, Figure], *, keep: bool) -> None:
    """Print the figures of one case, with the machine's load, and record them if they are to be kept."""
    shown = {**figures, "load_of_machine": round(os.getloadavg()[0], 1)}
    for figure, value in shown.items():
        print(f"{figure:<22} {value}")
    if keep:
        record(name, [Row(case, shown)])


def record(name: str, rows: Iterable[Row], *, folder: Path = RESULTS) -> Path:
    """Store rows in `folder/NAME.json`, replacing rows of the same cases; atomic. Returns the file's path."""
    path = folder / f"{name}.json"
    here = machine()
    key = hashlib.sha256(json.dumps(here, sort_keys=True).encode()).hexdigest()[:12]
    kept = {row.identity: row for row in load(name, folder=folder)}
    for row in rows:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept[row.identity] = Row(dict(row.case), dict(row.figures), row.measured_at or now, row.machine or key)
    used = {row.machine for row in kept.values()}
    known = {one: text for one, text in {**machines(name, folder=folder), key: here}.items() if one in used}
    text = json.dumps({"machines": known, "rows": [vars(row) for row in kept.values()]}, indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{name}-{os.getpid()}.json")
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def load(name: str, *, folder: Path = RESULTS) -> list[Row]:
    """The rows of `folder/NAME.json` in the order in which their cases were first recorded; none without a file."""
    return [Row(**row) for row in _content(name, folder).get("rows", [])]


def machines(name: str, *, folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The machines of a file's rows, by key."""
    found: dict[str, dict[str, Any]] = _content(name, folder).get("machines", {})
    return found


def median(figure: Figure) -> float | None:
    """The median of the samples, or the one value; None without a value."""
    values = _numbers(figure)
    return statistics.median(values) if values else None


def spread(figure: Figure) -> float | None:
    """Largest less smallest sample, as a share of the median; None for fewer than two."""
    values = _numbers(figure)
    if len(values) < 2 or not statistics.median(values):
        return None
    return (max(values) - min(values)) / statistics.median(values)


@functools.cache
def machine() -> dict[str, Any]:
    """This machine: processor, usable cores, memory, system, versions of the measured packages."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _numbers(figure: Figure) -> list[float]:
    values = figure if isinstance(figure, Sequence) and not isinstance(figure, str) else [figure]
    return [float(value) for value in values if isinstance(value, int | float)]


def _content(name: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{name}.json"
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
