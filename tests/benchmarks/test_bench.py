"""`make bench` in small, by real processes: every engine of this environment works and answers right; a wrong answer is
told, and so is an engine that fails or isn't there. How long anything takes is asserted nowhere.

What runs more than one backfill is slow: `make bench-short` has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks import __main__ as bench
from benchmarks import growth
from benchmarks.drawing.tables import peers_detail, peers_overview
from benchmarks.inputs.clicks import Shape, files
from benchmarks.measuring.comparing import Comparison, Group
from benchmarks.measuring.engines import ENGINES, Peer, Tandem
from benchmarks.measuring.jobs import JOBS
from benchmarks.measuring.results import Row, load
from benchmarks.parts import halves
from tandem.pipelines.backfill import parse
from tandem.runners.options.reading import read_arguments

pytestmark = pytest.mark.xdist_group("processes")

EVENTS = 5_000
DUCKDB = ENGINES["duckdb"]


@pytest.fixture(autouse=True)
def _own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_BENCH_DATA", str(tmp_path_factory.getbasetemp() / "clicks"))


def run_bench(tmp_path: Path, *flags: str) -> tuple[int, dict[tuple[str, str], Row]]:
    code = bench.main([f"--events={EVENTS}", "--rounds=1", f"--results={tmp_path}", *flags])
    return code, {(str(row.case["engine"]), str(row.case["form"])): row for row in load("peers", folder=tmp_path)}


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--only=tandem,polars,duckdb,pandas", "--forms=parquet"), id="parquet"),
        pytest.param(("--only=beam", "--forms=parquet"), id="parquet-beam", marks=pytest.mark.slow),
        pytest.param(("--only=polars,duckdb,pandas", "--forms=jsonl"), id="jsonl"),
        pytest.param(("--only=tandem", "--forms=jsonl"), id="jsonl-tandem", marks=pytest.mark.slow),
        pytest.param(("--only=beam-folded", "--forms=avro"), id="avro-beam", marks=pytest.mark.slow),
        pytest.param(("--only=tandem", "--forms=journal-json,journal-avro"), id="journal", marks=pytest.mark.slow),
        pytest.param(("--only=polars", "--forms=avro,avro-deflate"), id="avro"),
        pytest.param(("--only=polars,duckdb,pandas", "--forms=parquet", "--jobs=clicks_wide"), id="wide"),
        pytest.param(("--only=polars,duckdb,pandas", "--forms=parquet", "--jobs=clicks_users"), id="users"),
    ],
)
def test_every_engine_answers_right(tmp_path: Path, flags: tuple[str, ...]) -> None:
    code, rows = run_bench(tmp_path, *flags)
    assert {key: row.figures["why"] for key, row in rows.items() if row.figures["status"] != "right"} == {}
    assert code == 0
    asked = [flag.partition("=")[2].split(",") for flag in flags]
    assert set(rows) == {(engine, form) for engine in asked[0] for form in asked[1]}
    for row in rows.values():
        figures: Any = row.figures
        assert all(len(figures[name]) == 1 and figures[name][0] >= 0 for name in ("work_s", "start_up_s"))
        assert figures["peak_mb"][0] > 20


@dataclass(frozen=True)
class OneTooMany(Peer):
    """DuckDB, and one event more in the first answer."""

    def answers(self, job: str, keys: Sequence[str], folder: Path) -> pl.DataFrame:
        right = super().answers(job, keys, folder)
        more = pl.Series([1] + [0] * (right.height - 1))
        return right.with_columns(events=pl.col("events") + more)


@dataclass(frozen=True)
class Missing(Peer):
    """Can't be installed."""

    def command(self, job: str, keys: Sequence[str], form: str, files: Sequence[Path], folder: Path) -> list[str]:
        raise LookupError("not installed: no wheel for this machine")


WRONG = OneTooMany("wrong", "Wrong", module="duckdb_sql", error=0.025)
FAILING = Peer("failing", "Failing", module="nothing_of_that_name")
MISSING = Missing("missing", "Missing")


@pytest.mark.parametrize(
    ("engine", "code", "status", "why"),
    [
        pytest.param(WRONG, 1, "WRONG", "events of 1 answers", id="wrong-answer"),
        pytest.param(FAILING, 1, "failed", "nothing_of_that_name", id="fails"),
        pytest.param(MISSING, 0, "skipped", "not installed: no wheel", id="not-installed"),
    ],
)
def test_what_is_not_right_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    engine: Peer, code: int, status: str, why: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(ENGINES, engine.name, engine)
    monkeypatch.setitem(growth.ALL_ENGINES, engine.name, engine)
    found, rows = run_bench(tmp_path, f"--only={engine.name},duckdb", "--forms=parquet", "--rounds=2")
    assert found == code
    figures = rows[engine.name, "parquet"].figures
    assert figures["status"] == status
    assert why in str(figures["why"])
    assert status in capsys.readouterr().out
    assert len(rows["duckdb", "parquet"].figures["work_s"]) == 2  # type: ignore[arg-type]
    assert f"| {engine.label} | {status} |" in peers_overview(list(rows.values()))
    assert why in peers_detail(list(rows.values()))


def test_resuming_takes_only_the_samples_that_are_missing(tmp_path: Path) -> None:
    group = Group("clicks", "parquet", Shape(EVENTS))
    assert Comparison("peers", tmp_path, rounds=1).run(group, [DUCKDB])
    [first] = load("peers", folder=tmp_path)
    assert Comparison("peers", tmp_path, rounds=2, resume=True).run(group, [DUCKDB])
    [second] = load("peers", folder=tmp_path)
    assert len(second.figures["wall_s"]) == 2  # type: ignore[arg-type]
    assert second.figures["wall_s"][0] == first.figures["wall_s"][0]  # type: ignore[index]
    assert Comparison("peers", tmp_path, rounds=1).run(group, [DUCKDB])
    [anew] = load("peers", folder=tmp_path)
    assert len(anew.figures["wall_s"]) == 1  # type: ignore[arg-type]


@pytest.mark.slow
def test_growth_over_several_sets_and_definitions(tmp_path: Path) -> None:
    group = Group("clicks", "parquet", Shape(1_000), seeds=2, series="definitions")
    assert Comparison("growth", tmp_path, rounds=1).run(group, [growth.ALL_ENGINES["tandem-10d"]])
    [row] = load("growth", folder=tmp_path)
    assert (row.case["events"], row.case["series"]) == (2_000, "definitions")


@pytest.mark.slow
def test_two_halves_side_by_side_count_everything_together(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [files(Shape(1_000, seed=seed), "parquet") for seed in (1, 2)]
    assert halves.side_by_side("parquet", parts, 1, 2_000) > 0
    with pytest.raises(RuntimeError, match="1,000 events of parquet counted instead of 2,000"):
        halves.side_by_side("parquet", parts[:1], 1, 2_000)


def test_halves_of_a_journal_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        halves.main(["--forms=parquet,journal-json"])
    assert ended.value.code == 2
    assert "'journal-json' is none of parquet" in capsys.readouterr().err


@pytest.mark.slow
def test_halves_are_recorded(tmp_path: Path) -> None:
    assert halves.main([f"--events={EVENTS}", "--rounds=1", "--forms=parquet", f"--results={tmp_path}"]) == 0
    [row] = load("halves", folder=tmp_path)
    assert (row.case["form"], row.case["events"]) == ("parquet", EVENTS)
    assert all(float(str(row.figures[name])) > 0 for name in ("two_workers_times", "two_halves_times"))


@pytest.mark.parametrize("name", ["tandem", "tandem-1", "tandem-2", "tandem-10d"])
def test_tandem_is_given_flags_that_it_has(tmp_path: Path, name: str) -> None:
    command = growth.ALL_ENGINES[name].command("clicks", ("page",), "parquet", [tmp_path / "a.parquet"], tmp_path)
    configs, _ = parse(read_arguments("backfill", command[command.index("backfill") + 1 :]))
    assert len({config.definition.name for config in configs}) == (10 if name == "tandem-10d" else 1)
    assert {config.files for config in configs} == {(str(tmp_path / "*.parquet"),)}


def test_tandem_without_a_time_is_no_sample() -> None:
    with pytest.raises(ValueError, match="told no time"):
        Tandem("tandem", "Tandem").times(1.0, "nothing new", Path())


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        pytest.param("--only=tandem,spark", "'spark' is none of tandem", id="engine"),
        pytest.param("--forms=xml", "'xml' is none of parquet", id="form"),
        pytest.param("--jobs=orders", "'orders' is none of clicks", id="job"),
        pytest.param("--events=0", "0 is not a number of events", id="events"),
    ],
)
def test_bad_flags(capsys: pytest.CaptureFixture[str], flag: str, told: str) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main([flag])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_definitions_have_the_keys_of_the_jobs() -> None:
    for job, keys in JOBS.items():
        command = ENGINES["tandem"].command(job, keys, "parquet", [Path("/a.parquet")], Path("/nowhere"))
        [config], _ = parse(read_arguments("backfill", command[command.index("backfill") + 1 :]))
        assert (config.definition.name, tuple(config.definition.key)) == (job, keys)


def test_beam_is_left_out_of_what_would_take_it_minutes(tmp_path: Path) -> None:
    few = replace(ENGINES["beam"], most_events=1_000)
    assert Comparison("peers", tmp_path, rounds=1).run(Group("clicks", "parquet", Shape(EVENTS)), [few])
    assert json.dumps([row.case for row in load("peers", folder=tmp_path)]) == "[]"
