"""Before every launch: what would silently do nothing is refused with exit code 2, and nothing was touched by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from on_engines.graphs import write_inputs
from samples import sales
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.pipelines.launchables import LAUNCHABLES
from tandem.pipelines.planning.gate import Gate, gate, with_long_timeout, with_runner_flags
from tandem.pipelines.planning.launch import launch
from tandem.runners.options.reading import Arguments, read_arguments
from tandem.schemas.errors import LaunchError, UserError

EMBEDDED = ("--runner=FlinkRunner", "--flink_master=[local]")
DATAFLOW = ("--runner=DataflowRunner", "--project=project", "--region=r", "--temp_location=gs://bucket/temp")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_inputs(tmp_path)
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TANDEM_FLINK_HOME", str(tmp_path / "flink"))
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    return tmp_path


def live(folder: Path, *more: str) -> list[str]:
    source = ["--subscription", "projects/project/subscriptions/clicks"]
    return ["--definition", f"{folder}/sales.yaml", "--home", f"{folder}/home", *source, *more]


def backfill(folder: Path, *more: str) -> list[str]:
    files = ["--files", f"{folder}/sales.jsonl"]
    return ["--definition", f"{folder}/sales.yaml", "--home", f"{folder}/home", *files, *more]


def passed_by(name: str, words: Sequence[str]) -> Gate:
    return gate(LAUNCHABLES[name], read_arguments(name, words))


def tandem(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(
            (*EMBEDDED, "--flink_version=1.19", "--checkpointing_interval=-1"), "no-checkpoints", id="no-checkpoints"
        ),
        pytest.param((*EMBEDDED, "--flink_version=1.19", "--chekpointing_interval=9"), "unknown-flag", id="typo"),
        pytest.param(
            ("--runner=FlinkRunner", "--job_endpoint=far:8099", "--environment_type=LOOPBACK"),
            "loopback",
            id="loopback",
        ),
        pytest.param(DATAFLOW, "local-folder", id="dataflow"),
        pytest.param(("--runner=BundleBasedDirectRunner",), "unbounded", id="old-direct-runner"),
    ],
)
def test_a_launch_is_refused(more: Sequence[str], said: str, folder: Path) -> None:
    result = tandem("live", *live(folder, *more))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert not (folder / "home").exists()


def test_an_error_that_is_accepted_doesnt_refuse(folder: Path) -> None:
    broken = live(folder, *EMBEDDED, "--flink_version=1.19", "--checkpointing_interval=-1")
    with pytest.raises(LaunchError):
        passed_by("live", broken)
    passed = passed_by("live", [*broken, "--accept=no-checkpoints"])
    assert {finding.code for finding in passed.warnings} == {"no-checkpoints", "source-state"}
    assert "--accept=no-checkpoints" not in passed.arguments.beam


def test_what_is_accepted_is_said_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither as an error, nor with the advice to do otherwise."""
    broken = live(folder, *EMBEDDED, "--flink_version=1.19", "--checkpointing_interval=-1")
    ran = list[Arguments]()
    launch(replace(LAUNCHABLES["live"], run=ran.append), [*broken, "--accept=no-checkpoints"])
    said = capsys.readouterr().err
    (line,) = [line for line in said.splitlines() if "no-checkpoints" in line]
    assert line.startswith("accepted: no-checkpoints [")
    assert ("error: " in said, ";" in line, len(ran)) == (False, False, 1)
    planned = tandem("plan", "live", *broken, "--accept", "no-checkpoints")
    assert (planned.exit_code, line in planned.stdout, "error: " in planned.stdout) == (0, True, False)


@pytest.mark.parametrize(
    ("name", "arguments", "codes"),
    [
        pytest.param("live", [], [], id="live"),
        pytest.param("live", ["--direct_num_workers=2"], ["ignored-flag"], id="live-with-workers"),
        pytest.param("backfill", ["--direct_num_workers=2"], [], id="backfill-with-workers"),
        pytest.param("backfill", ["--parallelism=2"], ["ignored-flag"], id="backfill-with-parallelism"),
        pytest.param("publish", ["--runner", "DirectRunner"], [], id="publish"),
        pytest.param("backfill", ["--runner=PrismRunner", "--prism_log_level=warn"], [], id="backfill-on-prism"),
    ],
)
def test_on_this_machine_only_flags_are_looked_at(
    name: str, arguments: list[str], codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.pipelines.planning.gate._thorough", None)
    monkeypatch.setattr("tandem.runners.local.prism_binary.cached_binary", lambda: Path("/there"))
    passed = passed_by(name, arguments)
    assert [finding.code for finding in passed.warnings] == codes
    assert passed.arguments.beam == tuple(arguments)


def test_a_prism_that_isnt_where_it_is_said_to_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"prism \[--prism_location\]"):
        passed_by("live", [f"--prism_location={tmp_path}/prism"])


def test_a_prism_that_others_can_reach_is_refused_unless_that_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.runners.plan.checks.reachable.other_interfaces", lambda: ("eth0",))
    (tmp_path / "prism").write_bytes(b"anybody's")
    for name, runner in (("live", []), ("backfill", ["--runner=PrismRunner"])):
        arguments = [*runner, f"--prism_location={tmp_path}/prism"]
        with pytest.raises(LaunchError, match=r"^open-port \[--prism_location\]: the Prism at .* \(eth0\)"):
            passed_by(name, arguments)
        passed = passed_by(name, [*arguments, "--accept", "open-port"])
        assert [finding.code for finding in passed.warnings] == ["open-port"]
        assert passed.arguments.beam == (*arguments, "--experiments=accept_open_port")


def test_warnings_are_told_before_a_launch(folder: Path) -> None:
    (folder / "home").mkdir()
    result = tandem("backfill", *backfill(folder, "--parallelism=3"))
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("warning: ignored-flag [--parallelism]")


@pytest.mark.parametrize(
    ("arguments", "rest", "dry"),
    [
        pytest.param(["--a"], ("--a",), False, id="none"),
        pytest.param(["--dry_run", "--a=1"], ("--a=1",), True, id="bare"),
        pytest.param(["--a", "1", "--dry-run"], ("--a", "1"), True, id="at-the-end"),
        pytest.param(["--dry_run=true"], (), True, id="with-a-value"),
        pytest.param(["--dry_run", "True", "x"], ("x",), True, id="with-a-value-after-it"),
        pytest.param(["--dry_run=false"], (), False, id="switched-off"),
    ],
)
def test_dry_run(arguments: list[str], rest: tuple[str, ...], dry: bool) -> None:
    read = read_arguments("live", arguments)
    assert (read.beam, read["dry_run"]) == (rest, dry)


def test_a_dry_run_is_refused_where_it_would_start_the_job(folder: Path) -> None:
    result = tandem("live", *live(folder, "--dry_run"))
    assert (result.exit_code, "--runner=DataflowRunner" in result.stderr) == (2, True)
    assert not (folder / "home").exists()


def test_planning_goes_on_where_a_cluster_is_missing(folder: Path) -> None:
    words, findings = with_runner_flags(read_arguments("live", ["--runner", "flink"]))
    assert [finding.code for finding in findings] == ["runner"]
    assert "--checkpointing_interval=10000" in words.beam
    assert "flink" not in words.beam
    result = tandem("plan", "live", *live(folder, "--runner", "flink"))
    assert result.exit_code == 2
    assert result.stdout.splitlines()[1].startswith("error: runner")


def test_a_master_where_nobody_answers_is_the_only_thing_to_say(folder: Path) -> None:
    """What isn't known of it, or what Tandem would have brought itself, isn't warned of."""
    result = tandem("plan", "live", *live(folder, "--runner=Flink", "--flink_master=127.0.0.1:1"))
    assert result.exit_code == 2
    (finding,) = result.stdout.splitlines()[1:]
    assert finding.startswith("error: runner [--flink_master]: no Flink JobManager answers at 127.0.0.1:1")
    launched = tandem("live", *live(folder, "--runner=Flink", "--flink_master=127.0.0.1:1"))
    assert (launched.exit_code, "no Flink JobManager answers at 127.0.0.1:1" in launched.stderr) == (2, True)
    assert not (folder / "home").exists()


def test_planning_downloads_nothing(folder: Path) -> None:
    words, findings = with_runner_flags(read_arguments("live", [*EMBEDDED]))
    assert findings == ()
    assert "--flink_version=1.19" in words.beam
    assert not (folder / "cache").exists()


def test_a_launch_is_held_against_what_runs(folder: Path) -> None:
    running = folder / "running.json"
    passed_by("live", live(folder, f"--save={running}"))
    passed = passed_by("live", live(folder, "--against", str(running)))
    assert (passed.warnings, passed.arguments.beam) == ((), ())
    (folder / "sales.yaml").write_text(sales.text("other"))
    with pytest.raises(LaunchError, match="update-state-lost"):
        passed_by("live", live(folder, "--against", str(running)))
    assert not (folder / "home").exists()


@pytest.mark.parametrize("words", [["--save"], ["--save", "--lanes=2"], ["--save="]])
def test_a_file_that_isnt_named(words: list[str]) -> None:
    with pytest.raises(UserError, match="--save needs a value"):
        passed_by("live", words)


@pytest.mark.parametrize(
    ("arguments", "added"),
    [
        pytest.param(["--runner=FlinkRunner"], True, id="flink"),
        pytest.param(["--runner", "PortableRunner"], True, id="portable"),
        pytest.param(["--runner=FlinkRunner", "--job_server_timeout=9"], False, id="given"),
        pytest.param(["--runner=DataflowRunner"], False, id="dataflow"),
        pytest.param([], False, id="none"),
    ],
)
def test_launchers_wait_for_jobs_behind_a_job_server(arguments: list[str], added: bool) -> None:
    more = with_long_timeout(read_arguments("live", arguments)).beam[len(arguments) :]
    assert [word.partition("=")[0] for word in more] == ["--job_server_timeout"] * added
