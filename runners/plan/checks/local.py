"""Checks of engines: Prism, the FnApiRunner, the old DirectRunner, Spark; and jobs behind a job server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from apache_beam.options.pipeline_options import PortableOptions

from tandem.runners.plan.checks.reachable import check_prism
from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import Engine, Launch

__all__ = ["CHECKS", "SERVED", "check_timeout", "check_unbounded"]


def check_unbounded(launch: Launch) -> Iterator[Finding]:
    """Pipelines without an end on runners that don't support them."""
    if not launch.graph.unbounded():
        return
    why = {
        Engine.FN_API: "the FnApiRunner is for bounded pipelines: downstream of an unbounded source it runs nothing",
        Engine.OLD_DIRECT: "the old DirectRunner can't run a splittable DoFn, which the journaled source is",
        Engine.SPARK: "Beam's portable Spark runner can't run an unbounded splittable DoFn, nor event-time timers",
    }.get(launch.engine)
    if why is not None:
        remedy = "leave --runner out (Prism), or use --runner=FlinkRunner"
        yield Finding(Level.ERROR, "unbounded", why, "--runner", remedy)


SERVED: Final = frozenset({Engine.FLINK, Engine.SPARK, Engine.PORTABLE})
"""Engines behind a job server."""
_AN_HOUR: Final = 3600


def check_timeout(launch: Launch) -> Iterator[Finding]:
    """Bounded jobs longer than their launcher waits."""
    timeout = launch.options.view_as(PortableOptions).job_server_timeout
    if launch.engine in SERVED and not launch.streaming and timeout is not None and timeout <= _AN_HOUR:
        yield Finding(
            Level.WARNING,
            "job-server-timeout",
            f"a job that takes longer than {timeout} s would end its launcher with an error, although the job goes on",
            "--job_server_timeout",
            "pass a larger one: Beam takes it for the time of the whole job",
        )


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (
    check_unbounded,
    check_timeout,
    check_prism,
)
