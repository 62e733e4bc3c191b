"""Names of runners in any spelling."""

from __future__ import annotations

import pytest

from tandem.runners.submission.runner_names import runner_of, spelled
from tandem.schemas.errors import LaunchError


@pytest.mark.parametrize(
    ("names", "runner"),
    [
        pytest.param(
            ("flink", "Flink", "FLINK", "FlinkRunner", "flinkrunner", "flink-runner"), "FlinkRunner", id="flink"
        ),
        pytest.param(
            ("direct", "Direct", "DirectRunner", "directrunner", "DIRECT_RUNNER"), "DirectRunner", id="direct"
        ),
        pytest.param(("prism", "Prism", "prismRunner"), "PrismRunner", id="prism"),
        pytest.param(("portable", "Portable", "portablerunner"), "PortableRunner", id="portable"),
        pytest.param(("dataflow", "DataFlow", "DataflowRunner", "dataflowrunner"), "DataflowRunner", id="dataflow"),
        pytest.param(("spark", "SparkRunner"), "SparkRunner", id="spark"),
        pytest.param(("fnapi", "fn-api", "FnApiRunner"), "FnApiRunner", id="fn-api"),
        pytest.param(
            ("tandem.runners.local.tied_prism.TiedPrismRunner",),
            "tandem.runners.local.tied_prism.TiedPrismRunner",
            id="module",
        ),
        pytest.param(("",), "", id="none"),
    ],
)
def test_one_runner_by_all_its_names(names: tuple[str, ...], runner: str) -> None:
    assert {runner_of(name) for name in names} == {runner}


@pytest.mark.parametrize("name", ["flnk", "FlinkRuner", "runner", "x"])
def test_an_unknown_one_is_named_with_those_that_there_are(name: str) -> None:
    with pytest.raises(LaunchError, match=f"'{name}' is no runner") as refused:
        runner_of(name)
    assert "flink" in str(refused.value)
    assert ("did you mean FlinkRunner?" in str(refused.value)) == (name in ("flnk", "FlinkRuner"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--runner", "Flink", "--home", "flink"], ["--runner", "flink", "--home", "flink"], id="own"),
        pytest.param(["--runner=FLINK"], ["--runner=flink"], id="own-in-one-word"),
        pytest.param(["--runner=flinkrunner"], ["--runner=FlinkRunner"], id="any-flink"),
        pytest.param(
            ["--runner=flink", "--flink_master=f:1"], ["--runner=FlinkRunner", "--flink_master=f:1"], id="at-an-address"
        ),
        pytest.param(
            ["--job_endpoint", "f:1", "--runner", "flink"],
            ["--job_endpoint", "f:1", "--runner", "FlinkRunner"],
            id="by-it",
        ),
        pytest.param(["--runner=prism"], ["--runner=PrismRunner"], id="prism"),
        pytest.param(["--lanes", "2"], ["--lanes", "2"], id="none"),
        pytest.param(["--runner"], ["--runner"], id="without-a-value"),
    ],
)
def test_arguments(arguments: list[str], expected: list[str]) -> None:
    assert spelled(arguments) == expected
