"""The flags of a backfill."""

from __future__ import annotations

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.pipelines.bounded.configs import configs_of
from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.runners.options.beam import beam_options
from tandem.runners.options.reading import Arguments
from tandem.runners.options.shards import shards_for
from tandem.runners.submission.launching import is_local
from tandem.schemas.errors import UserError

__all__ = ["parse"]


def parse(arguments: Arguments) -> tuple[tuple[BackfillConfig, ...], PipelineOptions]:
    """A config for each definition, and Beam's options. Raises UserError."""
    options = beam_options(arguments.check_required())
    workers = arguments["workers"]
    if workers < 0:
        raise UserError(f"--workers is {workers}; it is a number of processes, or 0 to choose by the input")
    if workers and not is_local(options):
        raise UserError("--workers is for this machine; other runners have flags of their own")
    return configs_of(arguments, local=is_local(options), shards=shards_for(arguments["shards"], options)), options
