"""Makes the job that would be sent to Dataflow on this machine: no credentials, no network, nothing staged.

Beam's own DataflowRunner translates the pipeline and describes the job; only its client is replaced, by one that keeps
the files that it is given to stage. Dataflow's own processing of the job isn't covered.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions, TestOptions

from tandem.runners.plan.launch import Engine, engine_of
from tandem.schemas.errors import LaunchError, UserError

__all__ = ["DataflowJob", "check_runner", "dataflow_job", "write_job"]


@dataclass(frozen=True)
class DataflowJob:
    """A job in the form in which it would be sent."""

    description: dict[str, Any]
    """In the form of the Dataflow API: name, type, environment with experiments, worker pools and images."""
    proto: Any
    """The pipeline, which would be staged beside it."""
    staged: dict[str, int] = field(default_factory=dict)
    """By name the bytes of each object that would be staged in Cloud Storage."""


def dataflow_job(pipeline: beam.Pipeline, options: PipelineOptions) -> DataflowJob:
    """The job of a pipeline that was built and not run. `options` stay unchanged.

    Raises LaunchError with the refusal of Dataflow's runner, in one line.
    """
    if find_spec("apitools") is None:
        raise LaunchError("Dataflow needs more of Beam than is installed", "pip install 'tandem-beam[gcp]'")
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    own = PipelineOptions.from_dictionary(options.get_all_options(drop_default=True))
    own.view_as(TestOptions).dry_run = True
    cloud = own.view_as(GoogleCloudOptions)
    cloud.no_auth = True
    own.view_as(DebugOptions).dataflow_job_file = None
    try:
        with _quiet():
            job = DataflowRunner().run_pipeline(pipeline, own).job
            client = _client(own, job.root_staging_location)
            client.create_job_description(job)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        raise LaunchError(f"Dataflow's runner refuses the job: {_first_line(error)}") from error
    return DataflowJob(_without_dry_run(json.loads(job.json())), job.proto_pipeline, client.staged)


def _without_dry_run(description: dict[str, Any]) -> dict[str, Any]:
    """A description without the options that only the dry run has."""
    stated = description["environment"]["sdkPipelineOptions"]
    for name in ("no_auth", "dry_run"):
        stated["options"].pop(name, None)
    stated["display_data"] = [item for item in stated["display_data"] if item["key"] not in ("no_auth", "dry_run")]
    return description


def write_job(pipeline: beam.Pipeline, options: PipelineOptions, path: Path) -> DataflowJob:
    """Write the job's description as JSON, with the steps of its pipeline. Raises UserError, LaunchError."""
    check_runner(options)
    job = dataflow_job(pipeline, options)
    steps = sorted(t.unique_name for t in job.proto.components.transforms.values() if not t.subtransforms)
    text = json.dumps({"job": job.description, "steps": steps, "staged": job.staged}, indent=1, sort_keys=True)
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: the job can't be written: {error.strerror}") from None
    return job


def check_runner(options: PipelineOptions) -> None:
    """Raise UserError for another runner than Dataflow's, which would start the job."""
    if engine_of(options) is not Engine.DATAFLOW:
        raise UserError("a dry run, or a job file, is of a job for Dataflow: pass --runner=DataflowRunner")


def _client(options: PipelineOptions, staging_location: str) -> Any:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    class NothingSent(DataflowApplicationClient):  # type: ignore[misc]
        """A client that only records the objects to stage."""

        def __init__(self) -> None:
            super().__init__(options, staging_location)
            self.staged: dict[str, int] = {}

        def stage_file(self, folder: str, name: str, stream: Any, *more: object, **named: object) -> None:
            self.staged[name] = len(stream.read())

        def _cached_gcs_file_copy(self, from_path: str, to_path: str, sha256: str) -> None:
            self._uncached_gcs_file_copy(from_path, to_path)

        def submit_job_description(self, job: Any) -> Any:
            raise AssertionError("a dry run sends nothing")

    return NothingSent()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Beam's logs and prints about its next steps."""
    beam_logger = logging.getLogger("apache_beam")
    level = beam_logger.level
    beam_logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        beam_logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
