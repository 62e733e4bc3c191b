"""What Tandem asks of Prism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismRunner
from samples import sales

from tandem.pipelines.unbounded import config as live_config
from tandem.pipelines.unbounded import views
from tandem.runners.local.tied_prism import PrismJobServer, TiedPrismRunner
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import LaunchError

UNSPLIT = "prism_disable_sdf_split"


def experiments(options: PipelineOptions) -> list[str]:
    return list(options.view_as(DebugOptions).experiments or ())


def test_the_tied_runner_forbids_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prism would work on one key in two bundles at once."""
    seen: list[list[str]] = []

    def record(self: Any, pipeline: Any, options: PipelineOptions) -> None:
        seen.append(experiments(options))

    monkeypatch.setattr(PrismRunner, "run_portable_pipeline", record)
    TiedPrismRunner().run_portable_pipeline(None, PipelineOptions(["--experiments=mine"]))
    assert seen == [["mine", UNSPLIT]]


@pytest.mark.parametrize(
    "flags",
    [pytest.param([], id="its own"), pytest.param(["--runner=PrismRunner"], id="Beam's")],
)
def test_a_live_pipeline_forbids_splits_whatever_prism_it_runs_on(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "sales.yaml").write_text(sales.text())
    named = ["--definition", f"{tmp_path}/sales.yaml", "--home", f"{tmp_path}/home"]
    config, options = live_config.parse(
        read_arguments("live", [*named, "--subscription", "projects/p/subscriptions/s", *flags])
    )
    views.prepare(config, options).close()
    assert UNSPLIT in experiments(options)


@pytest.mark.parametrize(
    ("freshness", "seconds"),
    [
        pytest.param(["1s"], 1.0, id="one"),
        pytest.param(["1m", "500ms"], 0.5, id="the least of several"),
        pytest.param(["10ms"], 0.05, id="not shorter than is sensible"),
        pytest.param(["10m"], 5.0, id="not longer than memory allows"),
    ],
)
def test_the_source_gathers_for_as_long_as_the_freshness(tmp_path: Path, freshness: list[str], seconds: float) -> None:
    paths = []
    for number, value in enumerate(freshness):
        paths.append(tmp_path / f"{number}.yaml")
        paths[-1].write_text(sales.text(f"sales{number}").replace("freshness: 500ms", f"freshness: {value}"))
    named = [text for path in paths for text in ("--definition", str(path))]
    subscription = "projects/p/subscriptions/s"
    config, _ = live_config.parse(
        read_arguments("live", [*named, "--home", f"{tmp_path}/home", "--subscription", subscription])
    )
    assert views.bundle_seconds(config.definitions) == seconds


@pytest.mark.parametrize(
    ("flags", "interfaces", "refused"),
    [
        pytest.param([], ("eth0",), True, id="on-a-network"),
        pytest.param([], (), False, id="on-none"),
        pytest.param(["--experiments=accept_open_port"], ("eth0",), False, id="accepted"),
    ],
)
def test_a_prism_that_others_can_reach_isnt_started(
    flags: list[str], interfaces: tuple[str, ...], refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.runners.local.tied_prism.other_interfaces", lambda: interfaces)
    prism = tmp_path / "prism"
    prism.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 3\n")
    server = PrismJobServer(PipelineOptions([f"--prism_location={prism}", *flags]))
    with pytest.raises(LaunchError, match="listens on all interfaces" if refused else "Prism ended with exit code 3"):
        server.start()
    assert (tmp_path / "started").exists() is not refused


def test_a_server_of_beams_own_runner_isnt_used() -> None:
    """Beam's isn't bound; it is held for as long as anybody in this process holds it."""
    beams = PrismRunner().default_job_server(PipelineOptions())
    assert PrismRunner.shared_handle.acquire(lambda: None) is beams
    ours = TiedPrismRunner().default_job_server(PipelineOptions())
    assert isinstance(ours, PrismJobServer)
    assert TiedPrismRunner().default_job_server(PipelineOptions()) is ours
