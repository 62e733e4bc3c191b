"""The job that would be sent to Dataflow, as far as it can be made without the cloud."""

from __future__ import annotations

import json
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api
from on_engines.graphs import write_inputs
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.pipelines.launchables import launchable
from tandem.pipelines.planning.sketch import Sketch
from tandem.runners.dataflow.job_graph import DataflowJob, dataflow_job
from tandem.runners.options.reading import read_arguments
from tandem.runners.plan.checks.workers import modules_in
from tandem.schemas.errors import LaunchError

FLAGS = ("--runner=DataflowRunner", "--project=project", "--region=europe-west1", "--temp_location=gs://bucket/temp")
IMAGE = "--sdk_container_image=europe-docker.pkg.dev/project/tandem/worker:1"
POSTGRES = "--store=postgresql://db/views"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dataflow")
    write_inputs(made)
    return made


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, and whatever would use the network fails."""

    def refuse(*values: object, **named: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def arguments(folder: Path, name: str, *more: str) -> list[str]:
    source = ["--subscription", "projects/project/subscriptions/clicks"]
    own = source if name == "live" else ["--files", "gs://bucket/sales/*.jsonl"]
    return ["--definition", f"{folder}/sales.yaml", "--home", f"{folder}/home", POSTGRES, *own, *FLAGS, *more]


def sketch(folder: Path, name: str, *more: str) -> Sketch:
    (made,) = launchable(name).sketch(read_arguments(name, arguments(folder, name, *more)))
    return made


def job(folder: Path, name: str, *more: str) -> DataflowJob:
    made = sketch(folder, name, *more)
    return dataflow_job(made.pipeline, made.options)


@pytest.fixture(scope="module")
def jobs(folder: Path) -> dict[str, DataflowJob]:
    return {name: job(folder, name, IMAGE) for name in ("live", "backfill")}


@pytest.mark.parametrize(
    ("name", "kind"), [pytest.param("live", "STREAMING", id="live"), pytest.param("backfill", "BATCH", id="backfill")]
)
def test_the_jobs_type(name: str, kind: str, jobs: dict[str, DataflowJob]) -> None:
    environment = jobs[name].description["environment"]
    assert jobs[name].description["type"] == f"JOB_TYPE_{kind}"
    assert environment["version"]["job_type"] == f"FNAPI_{kind}"
    assert {"use_runner_v2", "use_unified_worker", "beam_fn_api"} <= set(environment["experiments"])
    assert ("enable_streaming_engine" in environment["experiments"]) is (name == "live")


@pytest.mark.parametrize("name", ["live", "backfill"])
def test_workers_run_in_the_image_that_was_named(name: str, jobs: dict[str, DataflowJob]) -> None:
    (pool,) = jobs[name].description["environment"]["workerPools"]
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == [IMAGE.partition("=")[2]]
    environments = jobs[name].proto.components.environments.values()
    assert {environment.urn for environment in environments} == {"beam:env:docker:v1"}


@pytest.mark.parametrize("name", ["live", "backfill"])
def test_the_steps_are_those_of_the_graph(name: str, folder: Path, jobs: dict[str, DataflowJob]) -> None:
    found = {t.unique_name for t in jobs[name].proto.components.transforms.values()}
    ours = {t.unique_name for t in sketch(folder, name, IMAGE).graph.leaves()}
    assert {label for label in ours if "MaybeReshuffle" not in label} <= found


@pytest.mark.parametrize("name", ["live", "backfill"])
def test_nothing_of_this_process_is_sent_along(name: str, jobs: dict[str, DataflowJob]) -> None:
    staged = set(jobs[name].staged)
    assert "pipeline.pb" in staged
    assert not {file for file in staged if "main_session" in file or "pickled" in file}
    for transform in jobs[name].proto.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            assert "__main__" not in modules_in(api.ParDoPayload.FromString(transform.spec.payload).do_fn.payload)


def test_options_of_the_dry_run_alone_arent_in_the_job(jobs: dict[str, DataflowJob]) -> None:
    told = jobs["live"].description["environment"]["sdkPipelineOptions"]
    assert not {"no_auth", "dry_run"} & (set(told["options"]) | {item["key"] for item in told["display_data"]})
    assert told["options"]["region"] == "europe-west1"


def test_the_options_given_stay_as_they_are(folder: Path) -> None:
    made = sketch(folder, "live", IMAGE)
    before = made.options.get_all_options()
    dataflow_job(made.pipeline, made.options)
    assert made.options.get_all_options() == before


def test_a_package_is_staged_for_workers_to_install(folder: Path, tmp_path: Path) -> None:
    package = tmp_path / "tandem_beam-0.1.0.tar.gz"
    with tarfile.open(package, "w:gz") as packed:
        packed.add(__file__, "setup.py")
    made = job(folder, "live", f"--extra_package={package}")
    assert {package.name, "extra_packages.txt"} <= set(made.staged)
    (pool,) = made.description["environment"]["workerPools"]
    assert package.name in {one["name"] for one in pool["packages"]}


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        pytest.param("--setup_file=/nowhere/setup.py", "/nowhere/setup.py", id="no-setup-file"),
        pytest.param("--extra_package=/nowhere/x.tar.gz", "/nowhere/x.tar.gz", id="no-package"),
    ],
)
def test_what_dataflows_runner_refuses_is_one_line(flag: str, said: str, folder: Path) -> None:
    made = sketch(folder, "live", flag)
    with pytest.raises(LaunchError, match=said) as refused:
        dataflow_job(made.pipeline, made.options)
    assert "\n" not in str(refused.value)


def tandem(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def steps_of(path: Path) -> Any:
    return json.loads(path.read_text())["steps"]


def test_the_job_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    planned = tandem("plan", "live", *arguments(folder, "live", IMAGE), "--job-file", str(path))
    assert planned.exit_code == 2  # folders of this machine
    assert "sales/Fold/Fold" in steps_of(path)
    again = tmp_path / "again.json"
    dry = tandem("live", *arguments(folder, "live", IMAGE), "--dry_run", "--dataflow_job_file", str(again))
    assert dry.exit_code == 2
    assert f"the job that would be sent is in {again}" in dry.stdout
    assert steps_of(again) == steps_of(path)
    assert not (folder / "home").exists()


def test_a_job_file_of_another_runner_is_refused(folder: Path, tmp_path: Path) -> None:
    words = [
        "--definition",
        f"{folder}/sales.yaml",
        "--home",
        f"{folder}/home",
        "--subscription",
        "projects/p/subscriptions/s",
    ]
    result = tandem("plan", "live", *words, "--job-file", f"{tmp_path}/job.json")
    assert (result.exit_code, "pass --runner=DataflowRunner" in result.stderr) == (2, True)


def test_a_job_file_that_cant_be_written(folder: Path, tmp_path: Path) -> None:
    result = tandem("plan", "live", *arguments(folder, "live", IMAGE), "--job-file", f"{tmp_path}/no/job.json")
    assert (result.exit_code, "can't be written" in result.stderr) == (2, True)


def test_missing_options_are_told_without_asking_the_cloud(folder: Path) -> None:
    without = [
        word for word in arguments(folder, "live", IMAGE) if not word.startswith(("--project", "--temp_location"))
    ]
    result = tandem("plan", "live", *without)
    said = [line for line in result.stdout.splitlines() if "dataflow-options" in line]
    assert result.exit_code == 2
    assert [line.split("[")[1].split("]")[0] for line in said] == ["--project", "--temp_location"]
    assert PipelineOptions(without).get_all_options()["project"] is None
