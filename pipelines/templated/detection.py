"""Detects a launch that only writes the job to a file, for Dataflow to start."""

from __future__ import annotations

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

__all__ = ["is_template"]


def is_template(options: PipelineOptions) -> bool:
    """Whether the job is written to a file, by the launcher of a Flex Template, and starts without it."""
    return bool(options.view_as(GoogleCloudOptions).template_location)
