"""Checks for Dataflow: options that jobs there need, and features that Tandem's jobs lack there."""

from __future__ import annotations

from collections.abc import Iterator

from apache_beam.options.pipeline_options import GoogleCloudOptions

from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import Engine, Launch

__all__ = ["check_dataflow"]


def check_dataflow(launch: Launch) -> Iterator[Finding]:
    """Required options, an emulator that Dataflow can't reach, and updates of a job that was resumed otherwise."""
    if launch.engine is not Engine.DATAFLOW:
        return
    cloud = launch.options.view_as(GoogleCloudOptions)
    for name in ("project", "region", "temp_location"):
        if not getattr(cloud, name):
            example = {"region": "europe-west1", "temp_location": "gs://BUCKET/temp"}.get(name, "PROJECT")
            yield Finding(Level.ERROR, "dataflow-options", "Dataflow needs it", f"--{name}", f"pass --{name}={example}")
    for name in ("temp_location", "staging_location"):
        value = getattr(cloud, name)
        if value and not str(value).startswith("gs://"):
            yield Finding(
                Level.ERROR, "dataflow-options", f"{value} isn't in Cloud Storage", f"--{name}", "name a gs:// folder"
            )
    if launch.places.resume and not cloud.update:
        yield Finding(
            Level.ERROR,
            "resume",
            f"run {launch.places.resume} would be resumed without its state",
            "--resume",
            "pass --update and --job_name of the running job, or leave --resume out",
        )
