"""The graphs that command lines would launch: those of real launches, without touching anything; no false alarms."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import apache_beam as beam
import pytest
from on_engines.graphs import GRAPHS, write_inputs
from samples import sales
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.pipelines.launchables import LAUNCHABLES, launchable
from tandem.pipelines.planning.sketch import findings_of_sketches
from tandem.runners.options.reading import read_arguments
from tandem.runners.plan.checks import flink as checks_flink
from tandem.runners.plan.checks import places as checks_places
from tandem.runners.plan.checks import reach as checks_reach
from tandem.runners.plan.findings import Level
from tandem.runners.plan.graph import graph_of

ANYWHERE = [name for name in GRAPHS if name != "native"]
"""Pipelines that run on every runner."""
SUBSCRIPTION = ("--subscription", "projects/project/subscriptions/clicks")
CHECKPOINTS = ("--checkpointing_interval=10000", "--retain_externalized_checkpoints_on_cancellation=true")
PATIENT = ("--job_server_timeout=86400",)
POOL = ("--environment_type=EXTERNAL", "--environment_config=localhost:50000")
POSTGRES = ("--store", "postgresql://db/views")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_inputs(tmp_path)
    monkeypatch.delenv("TANDEM_HOME", raising=False)
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    # job servers and pools are named here that nobody has started
    monkeypatch.setattr(checks_reach, "listens", lambda address: True)
    return tmp_path


TRIGGERED = ["--window", "1m", "--early", "1s", "--lateness", "1h"]


def arguments(folder: Path, name: str, *more: str) -> list[str]:
    two = ["--definition", f"{folder}/sales.yaml", "--definition", f"{folder}/second.yaml"]
    home = ["--home", f"{folder}/home"]
    files = ["--files", f"{folder}/sales.jsonl"]
    every = {
        "live": [*two, *home, *SUBSCRIPTION],
        "follow": [*two, *home, "--follow"],
        "backfill": [*two[:2], *home, *files],
        "native": [*two, *home, *SUBSCRIPTION, "--source=native", "--dead-letter-topic=projects/project/topics/dead"],
        "reconcile": [*two[:2], *home],
        "publish": [*two[:2], *files, "--topic", "projects/project/topics/clicks"],
        "windowed": [*two[:2], *files, "--output", f"{folder}/out", *TRIGGERED],
    }
    return [*every[name], *more]


def command(name: str) -> str:
    return "live" if name in ("follow", "native") else name


def plan(folder: Path, name: str, *more: str) -> Result:
    return CliRunner().invoke(app, ["plan", command(name), *arguments(folder, name, *more)])


def steps(pipeline: beam.Pipeline) -> dict[str, object]:
    return dict(graph_of(pipeline).steps)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_sketch_has_the_graph_of_the_launch(name: str, folder: Path) -> None:
    (sketch,) = launchable(command(name)).sketch(read_arguments(command(name), arguments(folder, name)))
    assert sketch.name == name
    assert steps(sketch.pipeline) == steps(GRAPHS[name](folder))


def seen(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ANYWHERE)
def test_planning_makes_no_file(name: str, folder: Path) -> None:
    before = seen(folder)
    assert plan(folder, name).exit_code == 0
    assert seen(folder) == before


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize(
    "runner",
    [
        pytest.param((), id="none"),
        pytest.param(("--runner=FlinkRunner", "--flink_master=[local]", *CHECKPOINTS, *PATIENT), id="flink-embedded"),
        pytest.param(
            (
                "--runner=FlinkRunner",
                "--flink_master=[auto]",
                "--job_endpoint=localhost:8099",
                *CHECKPOINTS,
                *POOL,
                *PATIENT,
            ),
            id="flink-here-with-a-pool",
        ),
    ],
)
def test_nothing_is_said_about_what_is_sound(
    name: str, runner: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_flink, "_is_patched", lambda launch: True)
    found = findings_of_sketches(
        launchable(command(name)).sketch(read_arguments(command(name), arguments(folder, name, *runner)))
    )
    assert [finding.line() for finding in found] == []


@pytest.mark.parametrize("name", ["live", "follow", "backfill"])
def test_nothing_is_wrong_on_a_cluster_with_shared_folders(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_places, "filesystem_of", lambda path: "nfs")
    cluster = ("--runner=FlinkRunner", "--job_endpoint=far:8099", *CHECKPOINTS, *POOL, *POSTGRES, *PATIENT)
    found = findings_of_sketches(
        launchable(command(name)).sketch(read_arguments(command(name), arguments(folder, name, *cluster)))
    )
    known = {(Level.NOTE, "modules"), (Level.WARNING, "source-state")}
    assert {(finding.level, finding.code) for finding in found} <= known


@pytest.mark.parametrize(
    ("name", "more", "codes"),
    [
        pytest.param(
            "live",
            ("--runner=FlinkRunner", "--flink_master=[local]", "--checkpointing_interval=-1"),
            {"no-checkpoints"},
            id="no-checkpoints",
        ),
        pytest.param(
            "live",
            ("--runner=FlinkRunner", "--flink_master=[local]", *CHECKPOINTS, "--warp"),
            {"unknown-flag"},
            id="typo",
        ),
        pytest.param(
            "backfill",
            ("--runner=FlinkRunner", "--job_endpoint=far:1", *POOL),
            {"local-folder", "sqlite-store"},
            id="elsewhere",
        ),
        pytest.param(
            "live",
            ("--runner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner"),
            {"unbounded"},
            id="unbounded-on-the-fn-api-runner",
        ),
    ],
)
def test_the_command_tells_errors_and_ends_with_2(
    name: str, more: Sequence[str], codes: set[str], folder: Path
) -> None:
    result = plan(folder, name, *more)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert {line.split()[1].rstrip(":") for line in errors} == codes
    accepted = [f"--accept={code}" for code in codes]
    assert plan(folder, name, *more, *accepted).exit_code == 0


def test_the_command_as_json(folder: Path) -> None:
    result = plan(folder, "live", "--direct_num_workers=3", "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [one["name"] for one in said["pipelines"]] == ["live"]
    assert said["pipelines"][0]["runner"] == "Prism"
    (finding,) = said["findings"]
    assert (finding["level"], finding["code"], finding["where"]) == ("warning", "ignored-flag", "--direct_num_workers")
    assert finding["remedy"]


def test_backfills_that_read_other_sources_are_planned_one_by_one(folder: Path) -> None:
    (folder / "other.yaml").write_text(sales.text("other").replace("format: json", "format: avro"))
    more = ["--definition", f"{folder}/other.yaml"]
    sketches = launchable("backfill").sketch(read_arguments("backfill", arguments(folder, "backfill", *more)))
    assert [sketch.name for sketch in sketches] == ["backfill (sales)", "backfill (other)"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ["later"],
            "no pipeline is named 'later'; there are live, backfill, publish, reconcile, windowed",
            id="unknown",
        ),
        pytest.param(["replay"], "replay has no graph of its own", id="replay"),
        pytest.param(["live"], "--definition", id="missing-flag"),
        pytest.param(["live", "--runner", "FlinkRunner", "--parallelism", "many"], "--definition", id="missing-first"),
    ],
)
def test_wrong_command_lines_are_one_line(words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["plan", *words])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_reconcile_is_named_as_on_its_own_command_line(folder: Path) -> None:
    result = CliRunner().invoke(app, ["plan", "reconcile", f"{folder}/sales.yaml", "--home", f"{folder}/home"])
    assert (result.exit_code, result.stdout.splitlines()[0][:9]) == (0, "reconcile")


def test_every_pipeline_can_be_planned() -> None:
    """A backtest is one step that runs a command: its graph holds nothing to plan, see tests/pipelines/templated."""
    assert {command(name) for name in GRAPHS} | {"backtest"} == set(LAUNCHABLES)


def saved(folder: Path, name: str, *more: str) -> Path:
    path = folder / "graphs" / "running.json"
    assert plan(folder, name, *more, "--save", str(path)).exit_code == 0
    return path


def test_a_graph_fits_what_was_saved_of_it(folder: Path) -> None:
    path = saved(folder, "live")
    result = plan(folder, "live", "--against", str(path))
    assert (result.exit_code, "nothing to say" in result.stdout) == (0, True)


def changed_definition(folder: Path) -> list[str]:
    text = sales.text()
    (line,) = (line for line in text.splitlines() if line.startswith("tile:"))
    (folder / "sales.yaml").write_text(text.replace(line, "tile: 30s"))
    return []


def dropped_definition(folder: Path) -> list[str]:
    (folder / "second.yaml").write_text(sales.text("third", deduplicate=False))
    return []


def more_lanes(folder: Path) -> list[str]:
    return ["--lanes", "3"]


@pytest.mark.parametrize(
    ("change", "exit_code", "codes"),
    [
        pytest.param(changed_definition, 2, {"error: update-definition"}, id="another-version"),
        pytest.param(
            dropped_definition, 2, {"error: update-state-lost", "warning: update-new-state"}, id="another-name"
        ),
        pytest.param(more_lanes, 0, {"warning: update-lanes"}, id="more-lanes"),
    ],
)
def test_what_an_update_would_break(
    change: Callable[[Path], list[str]], exit_code: int, codes: set[str], folder: Path
) -> None:
    path = saved(folder, "live")
    result = plan(folder, "live", *change(folder), "--against", str(path))
    assert result.exit_code == exit_code, result.output
    said = {" ".join(line.split()[:2]).rstrip(":") for line in result.stdout.splitlines()[1:]}
    assert {line for line in said if not line.startswith("note")} == codes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "can't be read", id="absent"),
        pytest.param("{}", "not a graph", id="something-else"),
        pytest.param('{"format": 99, "graphs": []}', "format 99", id="of-a-later-version"),
        pytest.param('{"format": 1, "graphs": []}', "holds no graph of live", id="of-another-pipeline"),
    ],
)
def test_saved_graphs_that_cant_be_used(content: str | None, said: str, folder: Path) -> None:
    if content is not None:
        (folder / "graph.json").write_text(content)
    result = plan(folder, "live", "--against", f"{folder}/graph.json")
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_graph_that_cant_be_saved(folder: Path) -> None:
    (folder / "file").touch()
    result = plan(folder, "live", "--save", f"{folder}/file/graph.json")
    assert (result.exit_code, "the graph can't be written" in result.stderr) == (2, True)
