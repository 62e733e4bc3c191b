"""A backtest as a job: one step, which runs `tandem backtest` on a worker and writes what was found to a place.

A history is judged in columns that lie in one machine's memory, so a larger machine is what helps, not more of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import Sketch, plain_options
from tandem.pipelines.templated.commands import command_pipeline
from tandem.runners.options.beam import beam_options
from tandem.runners.options.definition_places import definition_at
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.launching import launch, local_batch_runner, wait
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError

__all__ = ["BACKTEST", "BacktestConfig", "parse", "run"]


@dataclass(frozen=True, slots=True)
class BacktestConfig:
    """What a launch is held to; the step is told all else by its command line."""

    definition: Definition
    files: tuple[str, ...]
    """With rules, labels and outputs: all that a worker has to reach."""


def parse(arguments: Arguments) -> tuple[BacktestConfig, PipelineOptions]:
    """A config, and Beam's options. Raises UserError for a job that would tell nobody what it has found."""
    arguments.check_required()
    if not arguments.has("output"):
        raise UserError("--output is missing: a job writes what it has found to a place, gs:// or s3://")
    others = tuple(arguments[name] for name in ("rules", "labels", "output", "plot") if arguments.has(name))
    config = BacktestConfig(definition_at(arguments["definition"]), (*arguments["files"], *others))
    return config, beam_options(arguments)


def run(arguments: Arguments) -> None:
    """Launch the job, and wait for its end unless it is only written down. Raises TandemError."""
    _, options = parse(arguments)
    local_batch_runner(options)
    wait(launch(command_pipeline(arguments, options)))


def _sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    config, options = parse(arguments)
    local_batch_runner(options)
    pipeline = command_pipeline(arguments, plain_options(False, options))
    return (Sketch("backtest", pipeline, options, config, (config.definition,)),)


BACKTEST: Final = Launchable("backtest", run, _sketch, interrupted="nothing was written")
