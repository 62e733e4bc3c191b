"""Told before launch: addresses where nobody listens, and kinds of workers that there aren't."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.runners.plan.checks.reach import CHECKS
from tandem.runners.plan.graph import graph_of
from tandem.runners.plan.launch import Launch

HERE = ("--runner=FlinkRunner", "--flink_master=localhost:8081")
ELSEWHERE = ("--runner=FlinkRunner", "--flink_master=flink.example:8081")


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """`open`: where somebody listens; `shut`: where nobody does, for as long as this test has it."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield {"open": str(listening.getsockname()[1]), "shut": str(bound.getsockname()[1])}


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        pytest.param((*HERE,), [], id="nothing-named"),
        pytest.param((*HERE, "--job_endpoint=localhost:{open}"), [], id="job-server"),
        pytest.param(
            (*HERE, "--job_endpoint=localhost:{shut}"), [("job-endpoint", "--job_endpoint")], id="no-job-server"
        ),
        pytest.param(
            (*HERE, "--job_endpoint=localhost:{open}", "--artifact_endpoint=localhost:{shut}"),
            [("job-endpoint", "--artifact_endpoint")],
            id="no-artifact-server",
        ),
        pytest.param(
            (*HERE, "--job_endpoint=localhost"), [("job-endpoint", "--job_endpoint")], id="job-server-without-port"
        ),
        pytest.param((*HERE, "--job_endpoint=embed"), [], id="embedded-job-server"),
        pytest.param((*HERE, "--environment_type=EXTERNAL", "--environment_config=127.0.0.1:{open}"), [], id="pool"),
        pytest.param(
            (*HERE, "--environment_type=external", "--environment_config=127.0.0.1:{shut}"),
            [("worker-pool", "--environment_config")],
            id="no-pool",
        ),
        pytest.param(
            (*HERE, "--environment_type=EXTERNAL", '--environment_config={{"url": "localhost:{shut}"}}'),
            [("worker-pool", "--environment_config")],
            id="no-pool-in-json",
        ),
        pytest.param(
            (*HERE, "--environment_type=EXTERNAL", "--environment_options=external_service_address=localhost:{shut}"),
            [("worker-pool", "--environment_config")],
            id="no-pool-by-option",
        ),
        pytest.param(
            (*ELSEWHERE, "--environment_type=EXTERNAL", "--environment_config=localhost:{shut}"),
            [],
            id="pools-of-other-machines",
        ),
        pytest.param(
            (*HERE, "--environment_type=EXTERNL"), [("environment", "--environment_type")], id="misspelt-workers"
        ),
        pytest.param((*HERE, "--environment_type=beam:env:external:v1"), [], id="workers-by-urn"),
        pytest.param(("--runner=DataflowRunner", "--environment_type=EXTERNL"), [], id="another-runner"),
    ],
)
def test_addresses(flags: Sequence[str], found: list[tuple[str, str]], ports: dict[str, str]) -> None:
    options = PipelineOptions([flag.format(**ports) for flag in flags])
    launch = Launch("live", graph_of(beam.Pipeline(options=PipelineOptions([]))), options)
    findings = [finding for check in CHECKS for finding in check(launch)]
    assert [(finding.code, finding.where) for finding in findings] == found
    assert all(finding.remedy and "\n" not in finding.line() for finding in findings)


def test_the_nearest_kind_of_workers_is_named() -> None:
    options = PipelineOptions([*HERE, "--environment_type=LOPBACK"])
    launch = Launch("live", graph_of(beam.Pipeline(options=PipelineOptions([]))), options)
    (finding,) = [finding for check in CHECKS for finding in check(launch)]
    assert finding.line().endswith("correct it; did you mean LOOPBACK?")
