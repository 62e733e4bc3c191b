"""Classic templates: a job that is written once, and gets its parameters when it is started.

The input of such a job is unknown when it is written, so it can't be planned then. The job has one step, on one worker,
which runs the command with the parameters of the start: for backfills and publishing within a single machine's power. A
Flex Template plans at each launch and uses all workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

from tandem.pipelines.templated.commands import run_command
from tandem.runners.dataflow.templates.metadata import parameter_flags
from tandem.runners.dataflow.templates.parameters import flags_of_parameters, wrong_parameters
from tandem.runners.submission.launching import launch
from tandem.schemas.errors import UserError

__all__ = ["CLASSIC", "RunAtStart", "check_classic", "classic_pipeline", "words_at_start", "write_classic"]

CLASSIC: Final = ("backfill", "publish")
"""Pipelines that end, and that need no decision of a launcher."""


@dataclass
class RunAtStart(beam.PTransform):  # type: ignore[misc]
    """Runs a pipeline in one worker with the parameters of the job's start; logs its lines to the job's log."""

    name: str

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[str]:
        given = {flag.dest: RuntimeValueProvider(flag.dest, str, None) for flag in parameter_flags(self.name)}
        return root | "Once" >> beam.Create([self.name]) | "Run" >> beam.FlatMap(_run, given)


def _run(name: str, given: Mapping[str, RuntimeValueProvider]) -> Iterator[str]:
    yield from run_command((name, *words_at_start(name, {dest: value.get() for dest, value in given.items()})))


def words_at_start(name: str, given: Mapping[str, Any]) -> list[str]:
    """The command line of a start's parameters, where None is an absent one. Raises UserError for an invalid one."""
    parameters = {dest: str(value) for dest, value in given.items() if value is not None}
    wrong = wrong_parameters(name, parameters)
    if wrong:
        raise UserError("; ".join(wrong))
    return flags_of_parameters(name, [f"--{dest}={value}" for dest, value in parameters.items()])


def check_classic(name: str) -> str:
    """The name, checked. Raises UserError for a pipeline that has no classic template."""
    if name not in CLASSIC:
        raise UserError(f"no classic template is named {name!r}; there are {', '.join(CLASSIC)}")
    return name


def classic_pipeline(name: str, options: PipelineOptions) -> beam.Pipeline:
    """The graph of a classic template."""
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | name.capitalize() >> RunAtStart(name)
    return pipeline


def write_classic(name: str, place: str, flags: Sequence[str]) -> None:
    """Write a template to a file or an object; `flags` are Dataflow's: project, region, staging, image.

    Raises UserError, also for options with which Dataflow would take no job.
    """
    fixed = ["--runner=DataflowRunner", f"--job_name=tandem-{name}", f"--template_location={place}"]
    try:
        options = PipelineOptions([*fixed, *flags])
        launch(classic_pipeline(name, options))
    except ValueError as error:  # Dataflow's runner has checked its options
        raise UserError(" ".join(str(error).split())[:300]) from error
