"""Every change of Beam says why it is made, refuses other versions, and is told when it can go."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.runners.portability import job_server
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import sdk_worker, statesampler
from apache_beam.version import __version__ as beam_version

from tandem.runners.beam_patches.launcher import PATCHES
from tandem.runners.flink.jars import JOB_SERVER_VERSION
from tandem.schemas.errors import LaunchError

ROOT = Path(__file__).parents[3]
OF_JAVA = ("flink_source_state", "java_server_address")


def source(of: object) -> str:
    return inspect.getsource(of)  # type: ignore[arg-type]


NEEDED: dict[str, Callable[[], bool]] = {
    "bundle_ends": lambda: statesampler.DEFAULT_SAMPLING_PERIOD_MS == 200,
    "interrupted_job_servers": lambda: "SIGINT" in source(job_server),
    "job_servers": lambda: "job_server_timeout" in source(PortableOptions) and "_timeout" in source(job_server),
    "listening": lambda: "'[::]:" in source(worker_handlers),
    "worker_tracebacks": lambda: "print(traceback_string" in source(sdk_worker),
}
"""Whether the installed Beam still is as the patch found it. Patches that aren't here have such a test of their own."""


def test_every_module_is_a_patch_with_tests_of_its_own() -> None:
    modules = {path.stem for path in (ROOT / "runners/beam_patches").glob("*.py")} - {"__init__", "known", "launcher"}
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert modules == set(PATCHES)
    assert modules <= tested | set(NEEDED)


@pytest.mark.parametrize("name", PATCHES)
def test_another_version_is_refused(name: str) -> None:
    with pytest.raises(LaunchError, match=r"Beam 9\.9\.9 isn't the one that is known"):
        PATCHES[name].check("9.9.9")


@pytest.mark.parametrize("name", PATCHES)
def test_it_was_tried_with_what_is_installed(name: str) -> None:
    PATCHES[name].check(JOB_SERVER_VERSION if name in OF_JAVA else beam_version)


@pytest.mark.parametrize("name", NEEDED)
def test_it_is_still_needed(name: str) -> None:
    assert NEEDED[name](), f"Beam has changed: look whether {name} can go ({PATCHES[name].goes_when})"


def test_the_page_of_runners_lists_all() -> None:
    page = (ROOT / "docs/runners.md").read_text(encoding="utf-8")
    assert [name for name, patch in PATCHES.items() if f"`{name}`" not in page or patch.issue not in page] == []
