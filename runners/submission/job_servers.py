"""Keeps the connection to a job server open for as long as a run lasts."""

from __future__ import annotations

from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

__all__ = ["YEARS", "stay_on_the_line"]

YEARS: Final = 10 * 365 * 86_400
"""Ten years, in seconds."""


def stay_on_the_line(options: PipelineOptions) -> None:
    """Give the stream of a job's states a deadline of years.

    Beam gives it the deadline of single requests, 300 s: the launcher of a longer run would end with it, although its
    job continues.
    """
    portable = options.view_as(PortableOptions)
    portable.job_server_timeout = max(portable.job_server_timeout or 0, YEARS)
