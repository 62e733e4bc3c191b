"""The number of a run's shards: parts of each tile, which workers fold in parallel."""

from __future__ import annotations

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, StandardOptions

from tandem.journal.runs.manifests import RunManifest
from tandem.schemas.buckets import BUCKETS, SHARDS_A_WORKER
from tandem.schemas.errors import UserError

__all__ = ["check_shards", "shards_for"]


def shards_for(asked: int | None, options: PipelineOptions) -> int:
    """The requested number, else four times Flink's parallelism; 1 for one worker, and on this machine.

    So many can be apportioned evenly to workers, whatever keys are most frequent.
    """
    if asked is not None:
        return asked
    if not (options.view_as(StandardOptions).runner or "").endswith("FlinkRunner"):
        return 1
    parallelism = int(options.view_as(FlinkRunnerOptions).parallelism)
    return min(parallelism * SHARDS_A_WORKER, BUCKETS) if parallelism > 1 else 1


def check_shards(asked: int | None, run: RunManifest) -> None:
    """Raises UserError where a run to resume has another number of shards than requested."""
    if asked is not None and run.shards and asked != run.shards:
        raise UserError(
            f"--shards is {asked}, and run {run.id} has {run.shards}, which it keeps: leave --shards out, or leave"
            " --resume out and start a new run, which replays the journal"
        )
