"""Submits a pipeline to its runner, and turns errors there into one line and an exit code."""

from __future__ import annotations

from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
)
from apache_beam.runners.runner import PipelineResult

from tandem.runners.beam_patches.launcher import patch_launcher
from tandem.runners.local import forked_workers
from tandem.runners.local.quieting import quieten
from tandem.runners.local.tied_prism import TIED_PRISM
from tandem.runners.submission.failures import as_raised, failure
from tandem.schemas.errors import LaunchError, TandemError

__all__ = ["FN_API_RUNNER", "is_local", "launch", "local_batch_runner", "local_streaming_runner", "wait"]

FN_API_RUNNER: Final = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_LOCAL: Final = ("", "DirectRunner", "SwitchingDirectRunner")


def is_local(options: PipelineOptions) -> bool:
    """Whether the pipeline runs in processes of this machine, on the runner that Tandem chooses there."""
    return (options.view_as(StandardOptions).runner or "") in (*_LOCAL, FN_API_RUNNER, forked_workers.FORKING)


def local_batch_runner(options: PipelineOptions, workers: int = 1) -> None:
    """Choose the FnApiRunner for bounded work on one machine: Prism takes two to three times as long.

    Several workers are processes within `worker_processes`, and threads elsewhere, which slow each other down. The
    user's choice of Beam's own modes takes precedence.
    """
    _tie_prism(options)
    if not is_local(options):
        return
    options.view_as(StandardOptions).runner = FN_API_RUNNER
    direct = options.view_as(DirectOptions)
    if direct.direct_running_mode != "in_memory":
        return
    direct.direct_num_workers = max(workers, 1)
    if workers <= 1:
        return
    if forked_workers.available():
        options.view_as(StandardOptions).runner = forked_workers.FORKING
    else:
        direct.direct_running_mode = "multi_threading"


def local_streaming_runner(options: PipelineOptions) -> None:
    """Choose Prism for unbounded work on one machine, the only local engine that can run it."""
    standard = options.view_as(StandardOptions)
    standard.streaming = True
    if (standard.runner or "") in _LOCAL:
        standard.runner = TIED_PRISM
    _tie_prism(options)


def _tie_prism(options: PipelineOptions) -> None:
    """Replace Beam's own runner for Prism, which would start one that other hosts can reach."""
    standard = options.view_as(StandardOptions)
    if (standard.runner or "").rpartition(".")[2].lower() == "prismrunner":
        standard.runner = TIED_PRISM


def launch(pipeline: beam.Pipeline) -> PipelineResult:
    """Start the pipeline. Raises LaunchError for an unavailable runner; `wait`'s errors where the runner waits."""
    quieten()
    patch_launcher()
    _ask_no_pip(pipeline.options)
    _without_main(pipeline.options)
    try:
        return pipeline.run()
    except TandemError as error:
        raise as_raised(error) from error
    except RuntimeError as error:
        if "prism binary" in str(error):
            raise LaunchError(
                "Prism, Beam's local runner for unbounded pipelines, is not on this machine and can't be downloaded; "
                "`make setup` or `python -m tandem.runners.local.prism` builds it with Go, "
                "or pass --prism_location=PATH"
            ) from error
        raise failure(str(error)) from error


def _ask_no_pip(options: PipelineOptions) -> None:
    """Keep Beam from running pip to list installed packages, for logs of remote workers: Ctrl-C reaches that process,
    too.
    """
    if (options.view_as(StandardOptions).runner or "").rpartition(".")[2] != "DataflowRunner":
        options.view_as(DebugOptions).add_experiment("disable_logging_submission_environment")


def _without_main(options: PipelineOptions) -> None:
    """Keep Beam from pickling the main module for Dataflow: pipelines need nothing from it."""
    options.view_as(SetupOptions).save_main_session = False


def wait(result: PipelineResult) -> None:
    """Wait for the end; a job that was only written, as a template, has none. Raises FencedError when another writer
    took a lane over, TandemError when the job failed.
    """
    if not getattr(result, "has_job", True):
        return
    try:
        state = result.wait_until_finish()
    except TandemError as error:
        raise as_raised(error) from error
    except RuntimeError as error:
        raise failure(str(error)) from error
    if state not in ("DONE", "DRAINED", "CANCELLED", None):
        raise TandemError(f"the pipeline ended in state {state}")
