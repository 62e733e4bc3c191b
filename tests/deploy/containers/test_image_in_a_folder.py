"""A template's image, of the Dockerfile's own steps in a folder: a launch, and its job with workers by the entry point.

The bucket is fake-gcs-server's, the view store a PostgreSQL of this machine, the runner Prism; the bases of the image
have stand-ins (`deployments.image_folder`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from apache_beam.version import __version__ as beam
from deployments.image_folder import BOOT, LAUNCHER, Image, built, lacking
from samples import sales
from samples.sales import START, TILE, Sale
from servers.dataflow_service import ended_states, staged_job, worker_pool
from servers.object_servers import ObjectServer, server_of
from servers.postgres_server import postgres_server

from tandem.storage.opening import objects_at
from tandem.storage.urls import location
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import close_store, open_store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("processes")]

PINNED: Final = f"europe-docker.pkg.dev/demo/tandem/backfill@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of backfill's template."""
    if why := lacking():
        pytest.skip(why)
    return built("dataflow", tmp_path_factory.mktemp("image"), {"TEMPLATE": "backfill"}, beam)


@pytest.fixture
def store() -> Iterator[str]:
    """The URL of a view store that every process of this machine reaches, wherever it is locked in."""
    try:
        with postgres_server("", "listen_addresses=127.0.0.1") as server:
            url = f"postgresql://tandem@127.0.0.1:{server.port}/postgres"
            yield url
            close_store(url)
    except LookupError as reason:
        pytest.skip(str(reason))


def test_what_runs_is_nobody_and_has_no_compiler(image: Image) -> None:
    assert image.entry_point == (BOOT,)
    assert image.run("id", "-u").stdout == "10001\n"
    assert image.run("tandem", "--version").stdout.startswith("tandem ")
    assert image.run("sh", "-c", "command -v gcc cc make uv").stdout == ""
    wrote = image.run("sh", "-c", "echo > /opt/tandem/new; echo > /template/new; echo > /etc/new")
    assert wrote.stderr.count("Permission denied") == 3


def launched(image: Image, environment: Mapping[str, str], **parameters: str) -> str:
    """What the launcher of a template says, started with a launch's parameters."""
    words = [f"--{name}={value}" for name, value in parameters.items()]
    done = image.run(LAUNCHER, *words, "--no_auth", more={"NO_GCE_CHECK": "true", **environment})
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def test_a_launch_and_its_job_are_the_images(
    image: Image, store: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of("gcs", request, monkeypatch)
    items = [Sale(f"s{n}", START + n * TILE // 3, shop="ab"[n % 2]) for n in range(40)]
    place = put(server, tmp_path.name, {"sales.yaml": sales.text().encode(), "in/a.jsonl": lines(items)})
    parameters = {"definition": f"{place}/sales.yaml", "files": f"{place}/in/*", "home": f"{place}/home"}
    options = {"runner": "DataflowRunner", "project": "demo", "region": "europe-west1", "job_name": "tandem-backfill"}
    options |= {name: f"{place}/{name}" for name in ("temp_location", "staging_location", "template_location")}
    launched(image, server.environment, **parameters, store=store, **options, sdk_container_image=PINNED)
    job, pipeline = staged_job(options["template_location"])
    assert job["environment"]["sdkPipelineOptions"]["options"]["sdk_container_image"] == PINNED
    pool = ["python", "-m", "apache_beam.runners.worker.worker_pool_main", "--service_port={port}"]
    with worker_pool(
        tmp_path, image.command(*pool, f"--container_executable={BOOT}", more=server.environment)
    ) as workers:
        assert ended_states(job, pipeline, workers)[-1] == "DONE", (tmp_path / "workers.log").read_text()[-3000:]
    assert f"Starting worker with command ['{BOOT}'" in (tmp_path / "workers.log").read_text(encoding="utf-8")
    found = {(row.key, row.start): row.events for row in all_answers(open_store(store), sales.compiled())}
    assert found == {at: measures["sales"] for at, measures in sales.expected(items).items()}


def put(server: ObjectServer, folder: str, files: Mapping[str, bytes]) -> str:
    """The URL of a folder with these files."""
    for name, data in files.items():
        where: Any = location(server.place(f"{folder}/{name}"))
        objects_at(where).put(where.key, data)
    return server.place(folder)


def lines(items: list[Sale]) -> bytes:
    return b"\n".join(sale.payload() for sale in items) + b"\n"
