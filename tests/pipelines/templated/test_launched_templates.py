"""Templates launched as Dataflow launches them, on a fake GCS and PostgreSQL, and run from what was staged.

The launcher's part is real to the last byte: parameters, Dataflow's own runner, a job and a pipeline in the bucket. The
service's part is Prism with a pool of workers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from apache_beam.internal.gcp import auth
from processes import emulated
from samples import sales
from samples.sales import START, TILE, Sale
from servers.dataflow_service import ended_states, staged_job, worker_pool
from servers.harness_pool import harness_pool
from servers.object_servers import ObjectServer, server_of
from servers.postgres_server import postgres_server
from typer.testing import CliRunner

from tandem.app import app
from tandem.emulator.server import EmbeddedPubSub
from tandem.pipelines.launchables import launchable
from tandem.pipelines.planning.launch import launch
from tandem.runners.dataflow.templates.parameters import flags_of_parameters
from tandem.storage.opening import objects_at
from tandem.storage.urls import location
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import close_store, open_store

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("processes")]

IMAGE = f"europe-docker.pkg.dev/demo/tandem/backfill@sha256:{'0' * 64}"


@dataclass(frozen=True)
class Cloud:
    """A bucket, a view store, and the project's flags."""

    server: ObjectServer
    folder: Path
    store: str

    def place(self, name: str) -> str:
        return self.server.place(f"{self.folder.name}/{name}")

    def put(self, name: str, data: bytes) -> str:
        where = location(self.place(name))
        objects_at(where).put(where.key, data)
        return str(where)

    def launch(self, name: str, **parameters: str) -> tuple[dict[str, Any], Any]:
        """As the launcher of a template calls it: each parameter once, and flags of the service's own."""
        places = {} if name == "backtest" else {"home": self.place("home"), "store": self.store}
        given = {
            "definition": self.place("sales.yaml"),
            **places,
            **parameters,
            "runner": "DataflowRunner",
            "project": "demo",
            "region": "europe-west1",
            "job_name": f"tandem-{name}",
            "temp_location": self.place("temp"),
            "staging_location": self.place("staging"),
            "template_location": self.place(f"launches/{name}/job_object"),
            "sdk_container_image": IMAGE,
        }
        words = [f"--{key}={value}" for key, value in given.items()]
        launch(launchable(name), [*flags_of_parameters(name, words), "--no_auth"])
        return staged_job(given["template_location"])

    def answers(self) -> Mapping[Any, int]:
        return {(row.key, row.start): row.events for row in all_answers(open_store(self.store), sales.compiled())}


@pytest.fixture
def cloud(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    server = server_of("gcs", request, monkeypatch)
    monkeypatch.setattr(auth._Credentials, "get_service_credentials", classmethod(lambda cls, options: None))
    try:
        with postgres_server() as postgres:
            made = Cloud(server, tmp_path, postgres.url)
            made.put("sales.yaml", sales.text().encode())
            yield made
            close_store(postgres.url)
    except LookupError as error:
        pytest.skip(str(error))


def some(count: int, first: int = 0) -> list[Sale]:
    return [Sale(f"s{n}", START + n * TILE // 3, shop="ab"[n % 2]) for n in range(first, first + count)]


def expected(items: list[Sale]) -> Mapping[Any, int]:
    return {place: measures["sales"] for place, measures in sales.expected(items).items()}


def lines(items: list[Sale]) -> bytes:
    return b"\n".join(sale.payload() for sale in items) + b"\n"


def test_a_backfill_serves_what_it_has_built(cloud: Cloud) -> None:
    items = some(40)
    cloud.put("in/a.jsonl", lines(items[:25]))
    cloud.put("in/b.jsonl", lines(items[25:]))
    job, pipeline = cloud.launch("backfill", files=f"{cloud.place('in/a*')},{cloud.place('in/b*')}", copies="false")
    store = open_store(cloud.store)
    assert store.publishing.served("sales") is None, "the launcher serves nothing"
    assert (job["type"], job["name"]) == ("JOB_TYPE_BATCH", "tandem-backfill")
    (pool,) = job["environment"]["workerPools"]
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert not [package for package in pool["packages"] if "main_session" in package["name"]]
    with worker_pool(cloud.folder) as workers:
        assert ended_states(job, pipeline, workers)[-1] == "DONE"
        served = store.publishing.served("sales")
        assert served is not None
    assert cloud.answers() == expected(items)
    assert [one.ordinal for one in store.publishing.publications("sales")] == [1]
    _, pipeline = cloud.launch("backfill", files=cloud.place("in/*"))
    names = {transform.unique_name.partition("/")[0] for transform in pipeline.components.transforms.values()}
    assert "NothingNew" in names, "a launch that finds nothing to do is a job all the same"


@pytest.mark.slow
def test_a_backfill_that_reads_too_much_that_is_bad_serves_nothing(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", lines(some(10)) + b"{\n" * 10)
    job, pipeline = cloud.launch("backfill", files=cloud.place("in/*"), max_bad="5%")
    with worker_pool(cloud.folder) as workers:
        assert ended_states(job, pipeline, workers)[-1] == "DONE"
    assert open_store(cloud.store).publishing.served("sales") is None
    assert "--max-bad 5%" in (cloud.folder / "workers.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_reconciling_is_a_job_of_one_step(cloud: Cloud) -> None:
    items = some(20)
    cloud.put("in/a.jsonl", lines(items))
    job, pipeline = cloud.launch("backfill", files=cloud.place("in/*"))
    with worker_pool(cloud.folder) as workers:
        assert ended_states(job, pipeline, workers)[-1] == "DONE"
        store = open_store(cloud.store)
        with store.database.write() as connection:  # as damage would
            connection.execute(sa.text("DELETE FROM batch_states WHERE tile = (SELECT min(tile) FROM batch_states)"))
        job, pipeline = cloud.launch("reconcile", deep="true")
        assert ended_states(job, pipeline, workers)[-1] == "DONE"
    assert cloud.answers() == expected(items)


RULES = "rules: {many: {window: 1m, expr: 'sales >= params.least', params: {least: 9}}}"


@pytest.mark.slow
def test_a_backtest_writes_what_the_command_finds(cloud: Cloud, tmp_path: Path) -> None:
    items = some(40)
    (tmp_path / "in").mkdir()
    for name, data in {"sales.yaml": sales.text(), "rules.yaml": RULES, "in/a.jsonl": lines(items).decode()}.items():
        cloud.put(name, data.encode())
        (tmp_path / name).write_text(data, encoding="utf-8")
    output = cloud.place("found/alerts.json")
    rules, files = cloud.place("rules.yaml"), cloud.place("in/*")
    job, pipeline = cloud.launch("backtest", files=files, rules=rules, set="least=1", output=output)
    assert job["type"] == "JOB_TYPE_BATCH"
    with worker_pool(cloud.folder) as workers:
        assert ended_states(job, pipeline, workers)[-1] == "DONE"
    here = ["backtest", *(str(tmp_path / name) for name in ("sales.yaml", "in/a.jsonl")), "--json", "--set", "least=1"]
    done = CliRunner().invoke(app, [*here, "--rules", str(tmp_path / "rules.yaml")])
    found = location(output)
    said = json.loads(objects_at(found).get(found.key))
    assert said == json.loads(done.stdout)
    assert sum(len(rule["alerts"]) for rule in said) > 0


def test_a_classic_template_gets_its_parameters_when_it_is_started(cloud: Cloud) -> None:
    items, place = some(30), cloud.place("templates/backfill")
    cloud.put("in/a.jsonl", lines(items))
    flags = [f"--{name}_location={cloud.place(name)}" for name in ("temp", "staging")]
    words = ["--project=demo", "--region=europe-west1", f"--sdk_container_image={IMAGE}", "--no_auth", *flags]
    done = CliRunner().invoke(app, ["template", "classic", "build", "backfill", "--to", place, *words])
    assert done.exit_code == 0, done.output
    metadata = location(f"{place}_metadata")
    assert {"definition", "files"} <= {
        each["name"] for each in json.loads(objects_at(metadata).get(metadata.key))["parameters"]
    }
    job, pipeline = staged_job(place)
    options = job["environment"]["sdkPipelineOptions"]["options"]
    options |= {"definition": cloud.place("sales.yaml"), "files": cloud.place("in/*")}  # as the service adds them
    options |= {"home": cloud.place("home"), "store": cloud.store}
    with harness_pool(cloud.folder, options) as workers:
        assert ended_states(job, pipeline, workers)[-1] == "DONE"
    assert cloud.answers() == expected(items)


@pytest.mark.slow
def test_live_runs_from_what_was_staged(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, subscription = "projects/demo/topics/sales", "projects/demo/subscriptions/sales"
    with EmbeddedPubSub() as emulator:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
        emulated.make(topic, subscription)
        items = some(30)
        emulated.publish(topic, [sale.payload() for sale in items])
        job, pipeline = cloud.launch("live", subscription=subscription, until_idle="12s", accept="emulator")
        assert job["type"] == "JOB_TYPE_STREAMING"
        with worker_pool(cloud.folder) as workers:
            assert ended_states(job, pipeline, workers)[-1] == "DONE"
    assert cloud.answers() == expected(items)
