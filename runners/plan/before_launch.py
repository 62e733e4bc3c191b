"""Findings before a launch: features that the chosen runner lacks or treats differently, with remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.runners.plan.checks import flink as checks_flink
from tandem.runners.plan.checks import graph as checks_graph
from tandem.runners.plan.checks import local as checks_local
from tandem.runners.plan.checks import options as checks_options
from tandem.runners.plan.checks import places as checks_places
from tandem.runners.plan.checks import reach as checks_reach
from tandem.runners.plan.checks import workers as checks_workers
from tandem.runners.plan.checks.dataflow import check_dataflow
from tandem.runners.plan.findings import Finding, Level, errors_of, in_order, refuse
from tandem.runners.plan.graph import graph_of
from tandem.runners.plan.launch import Launch, Places

__all__ = ["CHECKS", "Finding", "Level", "check_launch", "errors_of", "findings_of", "refuse"]

Check = Callable[[Launch], Iterator[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    *checks_graph.CHECKS,
    *checks_options.CHECKS,
    *checks_places.CHECKS,
    *checks_workers.CHECKS,
    *checks_local.CHECKS,
    *checks_flink.CHECKS,
    *checks_reach.CHECKS,
    check_dataflow,
)


def findings_of(launch: Launch, checks: Sequence[Check] = CHECKS) -> tuple[Finding, ...]:
    """The findings of all checks, errors first."""
    return in_order([finding for check in checks for finding in check(launch)])


def check_launch(name: str, pipeline: beam.Pipeline, options: PipelineOptions, config: Any) -> tuple[Finding, ...]:
    """The findings about launching a pipeline that was built. Starts nothing and writes nothing.

    `config`: of the pipeline (`pipelines.NAME.parse`), or a tuple of such; its places are checked.
    """
    return findings_of(Launch(name, graph_of(pipeline), options, places_of(config)))


def places_of(config: Any) -> Places:
    """The places that a pipeline's config names."""
    first = config[0] if isinstance(config, tuple) else config
    if live := getattr(first, "live", None):  # Beam's own read has neither a journal nor dead letters
        return Places(store=live.home.store, resume=live.resume)
    home = getattr(first, "home", None)
    return Places(
        journal=getattr(home, "journal", None),
        store=getattr(home, "store", None),
        dead_letters=getattr(home, "dead_letters", None),
        scratch=getattr(first, "scratch", None),
        files=tuple(getattr(first, "files", ())),
        lanes=getattr(first, "lanes", None) if not getattr(first, "follow", False) else None,
        resume=getattr(first, "resume", None),
    )
