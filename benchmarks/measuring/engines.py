"""Tandem and its peers: the command of each, the forms that it reads, and its stated errors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import polars as pl
import yaml

from benchmarks.inputs.clicks import DEFINITIONS, FORMS, JOURNAL_FORMS, SCHEMA_FILE
from benchmarks.measuring.checking import read_answers

__all__ = ["ENGINES", "ROOT", "Engine", "Peer", "Tandem", "environment_of"]

ROOT: Final = Path(__file__).resolve().parents[2]
_ENVIRONMENTS: Final = ROOT / ".venv-peers"
_ALL_FORMS: Final = ("parquet", "jsonl", "avro", "avro-deflate")
_WORK: Final = re.compile(r" in ([\d.]+) s\b")


@dataclass(frozen=True)
class Engine:
    """An engine that is measured."""

    name: str
    label: str
    forms: tuple[str, ...] = _ALL_FORMS
    most_events: int = 1 << 62
    """Larger jobs are left out, since they take too long."""
    error: float = 0.0
    """The allowed relative standard error of its distinct users; 0: it counts exactly.

    Tandem's is documented. Flink's is the constant in its source. Pathway's is 1.04 / sqrt(2^12), of the precision that
    it is given (P. Flajolet et al., "HyperLogLog", AofA 2007). DuckDB states none: 0.0227 was measured before on events
    of another seed (99)."""
    exact_sums: bool = False
    """Whether its sums are stated to be exact, rounded once."""

    def command(self, job: str, keys: Sequence[str], form: str, files: Sequence[Path], folder: Path) -> list[str]:
        """The command of the job, which writes into `folder`. Raises LookupError if the engine isn't installed."""
        raise NotImplementedError

    def variables(self) -> Mapping[str, str]:
        """Its environment variables."""
        return {}

    def times(self, wall: float, output: str, folder: Path) -> tuple[float, float]:
        """Seconds of start-up and of work, by the engine's own report. Raises ValueError without one."""
        raise NotImplementedError

    def answers(self, job: str, keys: Sequence[str], folder: Path) -> pl.DataFrame:
        """The answers in its folder."""
        raise NotImplementedError


@dataclass(frozen=True)
class Tandem(Engine):
    """`tandem backfill`, as its user starts it; answers are read by `tandem export`."""

    workers: int = 0
    """The value of --workers; 0 leaves the flag out."""
    definitions: int = 1
    """Number of definitions over the one source; those after the job's own have other names and keys."""

    def command(self, job: str, keys: Sequence[str], form: str, files: Sequence[Path], folder: Path) -> list[str]:
        command = [sys.executable, "-m", "tandem", "backfill", "--home", str(folder / "home")]
        own = _of_avro(job, folder) if form == "journal-avro" else DEFINITIONS[job]
        for path in (own, *(_variant(job, number, folder) for number in range(1, self.definitions))):
            command += ["--definition", str(path)]
        if form in JOURNAL_FORMS:
            command += ["--journal", str(files[0])]
        else:
            for pattern in dict.fromkeys(str(file.parent / f"*{file.suffix}") for file in files):
                command += ["--files", pattern]
        return [*command, f"--workers={self.workers}"] if self.workers else command

    def times(self, wall: float, output: str, folder: Path) -> tuple[float, float]:
        reported = _WORK.findall(output.replace("\n", " "))
        if not reported:
            raise ValueError(f"tandem backfill told no time: {output[-200:]!r}")
        work = min(max(map(float, reported)), wall)
        return wall - work, work

    def answers(self, job: str, keys: Sequence[str], folder: Path) -> pl.DataFrame:
        out = folder / "export.jsonl"
        command = [sys.executable, "-m", "tandem", "export", job, "--home", str(folder / "home"), "--out", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"tandem export ended with {done.returncode}: {_line(done.stderr)}")
        return _exported(out, keys)


def _of_avro(job: str, folder: Path) -> Path:
    """The job's definition, for messages in Avro."""
    definition = yaml.safe_load(DEFINITIONS[job].read_text(encoding="utf-8"))
    source = {**definition["source"], "format": "avro", "schema": str(SCHEMA_FILE)}
    path = folder / f"{job}.yaml"
    path.write_text(yaml.safe_dump({**definition, "source": source}), encoding="utf-8")
    return path


def _variant(job: str, number: int, folder: Path) -> Path:
    """Another definition over the same source: own name, one of three keys."""
    definition = yaml.safe_load(DEFINITIONS[job].read_text(encoding="utf-8"))
    definition["source"]["schema"] = str(DEFINITIONS[job].parent / definition["source"]["schema"])
    key = (["country"], ["page", "country"], ["page"])[number % 3]
    path = folder / f"{job}_{number}.yaml"
    path.write_text(yaml.safe_dump({**definition, "name": f"{job}_{number}", "key": key}), encoding="utf-8")
    return path


def _exported(path: Path, keys: Sequence[str]) -> pl.DataFrame:
    lines = pl.read_ndjson(path, infer_schema_length=None)
    tile = pl.col("start").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").alias("tile")
    return lines.select(tile, *(pl.col("key").struct.field(key) for key in keys), pl.col("results").struct.unnest())


@dataclass(frozen=True)
class Peer(Engine):
    """A module of benchmarks.peers, in this environment or in one of its own."""

    module: str = ""
    environment: str | None = None
    """Name of a requirements/peers-NAME.txt."""
    set: Mapping[str, str] = field(default_factory=dict)

    def command(self, job: str, keys: Sequence[str], form: str, files: Sequence[Path], folder: Path) -> list[str]:
        out = folder / "answers"
        out.mkdir()
        python = environment_of(self.environment) if self.environment else Path(sys.executable)
        named = [f"--key={key}" for key in keys]
        return [str(python), "-m", f"benchmarks.peers.{self.module}", *named, f"--form={form}", f"--out={out}",
                f"--report={folder / 'report.json'}", *map(str, files)]  # fmt: skip

    def variables(self) -> Mapping[str, str]:
        jars = {"BENCHMARK_FLINK_JARS": str(_ENVIRONMENTS / "flink-jars")} if self.environment == "flink" else {}
        return {**self.set, **jars}

    def times(self, wall: float, output: str, folder: Path) -> tuple[float, float]:
        report = folder / "report.json"
        if not report.exists():
            raise ValueError("it left no report")
        figures = orjson.loads(report.read_bytes())
        return float(figures["start_up_s"]), float(figures["work_s"])

    def answers(self, job: str, keys: Sequence[str], folder: Path) -> pl.DataFrame:
        return read_answers(folder / "answers")


def environment_of(name: str) -> Path:
    """Python of a peer's environment, created from its lock at first use. Raises LookupError."""
    folder, lock = _ENVIRONMENTS / name, ROOT / "requirements" / f"peers-{name}.txt"
    python, stamp = folder / "bin" / "python", folder / ".set-up"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return python
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise LookupError("not installed: uv is missing")
    print(f"installing {name} into {folder.relative_to(ROOT)} ...", flush=True)
    steps = [["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
             ["pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)]]  # fmt: skip
    for step in steps:
        done = subprocess.run([uv, *step], capture_output=True, text=True, timeout=1800)
        if done.returncode:
            raise LookupError(f"not installed: {_line(done.stderr)}")
    if name == "flink":
        _fetch_jars(_ENVIRONMENTS / "flink-jars")
    stamp.write_bytes(lock.read_bytes())
    return python


def _fetch_jars(folder: Path) -> None:
    """Fetch Flink's Avro and Parquet formats, which aren't on PyPI; without Maven these forms fail, and the table says
    so.
    """
    maven = shutil.which("mvn")
    for artifact in FLINK_JARS if maven else ():
        copy = [str(maven), "-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        subprocess.run(copy, cwd=ROOT.parent, capture_output=True, timeout=600)


def _line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"


FLINK_JARS: Final = (
    "org.apache.flink:flink-sql-avro:2.3.0",
    "org.apache.flink:flink-sql-parquet:2.3.0",
    "org.apache.flink:flink-shaded-hadoop-2-uber:2.8.3-10.0",
)

ENGINES: Final[dict[str, Engine]] = {
    engine.name: engine
    for engine in (
        Tandem("tandem", "Tandem", FORMS, error=0.02, exact_sums=True),
        Tandem("tandem-1", "Tandem, one worker", FORMS, error=0.02, exact_sums=True, workers=1),
        Tandem("tandem-2", "Tandem, two workers", FORMS, error=0.02, exact_sums=True, workers=2),
        Peer("polars", "Polars", module="polars_lazy"),
        Peer("duckdb", "DuckDB", ("parquet", "jsonl"), module="duckdb_sql", error=0.025),
        Peer("pandas", "pandas", ("parquet", "jsonl"), module="pandas_frame"),
        Peer("flink", "Flink SQL", module="flink_sql", environment="flink", error=0.01),
        Peer(
            "pathway",
            "Pathway",
            ("parquet", "jsonl"),
            module="pathway_table",
            environment="pathway",
            set={"PATHWAY_THREADS": "2"},
            error=0.01625,
        ),
        Peer("bytewax", "Bytewax", module="bytewax_flow", environment="bytewax"),
        Peer("beam", "idiomatic Beam", most_events=1_000_000, module="beam_idiomatic"),
        Peer(
            "beam-folded",
            "Beam, minute in the key",
            most_events=1_000_000,
            module="beam_idiomatic",
            set={"BENCHMARK_BEAM": "folded"},
        ),
    )
}
"""In the order of the tables."""
