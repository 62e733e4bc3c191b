"""A command as a job of one step, for commands whose launcher acts on the pipeline's findings: reconciling."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.runners.options.reading import Arguments
from tandem.runners.options.words import words_of

__all__ = ["RunCommand", "command_pipeline"]

_LOGGER = logging.getLogger(__name__)
_COMMAND_LINES: Final = {"backtest": ("tandem", "backtest")}
"""Commands that aren't a pipeline's module."""


@dataclass
class RunCommand(beam.PTransform):  # type: ignore[misc]
    """Runs a pipeline of Tandem's in one worker, in a process of its own; logs its lines to the job's log."""

    words: tuple[str, ...]

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[str]:
        return root | "Words" >> beam.Create([self.words]) | "Run" >> beam.FlatMap(run_command)


def run_command(words: Sequence[str]) -> Iterator[str]:
    """The lines that a command prints. Raises RuntimeError with the last of them when it fails."""
    command = [sys.executable, "-m", *_COMMAND_LINES.get(words[0], (f"tandem.pipelines.{words[0]}",)), *words[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.rstrip() or last
            _LOGGER.info("%s", line.rstrip())
            yield line.rstrip()
    if process.returncode:
        raise RuntimeError(f"tandem {words[0]} ended with exit code {process.returncode}: {last}")


def command_pipeline(arguments: Arguments, options: PipelineOptions) -> beam.Pipeline:
    """The graph of a job that runs a command with Tandem's flags alone, on the worker itself."""
    pipeline = beam.Pipeline(options=options)
    name = arguments.command.name
    _ = pipeline | name.capitalize() >> RunCommand((name, *words_of(arguments)))
    return pipeline
