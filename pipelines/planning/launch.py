"""Launches a pipeline: checks its flags, rejects features that its runner lacks, and runs it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import grpc

from tandem.pipelines.console.ending import ended, wants_trace
from tandem.pipelines.console.help import print_help
from tandem.pipelines.console.printing import say
from tandem.pipelines.planning.gate import gate
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.report import show_dry_run
from tandem.runners.options.flags.table import flag_named
from tandem.runners.options.reading import Arguments, read_arguments, wants_help
from tandem.runners.submission.interrupts import ended_by_signals
from tandem.runners.submission.remote_runs import code_of
from tandem.schemas.errors import TandemError, UserError
from tandem.schemas.privacy.umask import keep_private
from tandem.schemas.telemetry.logs import log_as, logged

__all__ = ["entry", "launch"]


Beside = Callable[[Arguments], AbstractContextManager[None]]
"""A context that is open as long as a pipeline runs."""


@contextmanager
def _nothing(read: Arguments) -> Iterator[None]:
    """The context of a pipeline that is run as a module; rejects flags that it would ignore."""
    if read.has("metrics_port"):
        raise UserError("--metrics-port: `tandem live` serves metrics, its module alone doesn't")
    yield


def launch(pipeline: Launchable, arguments: Sequence[str], beside: Beside = _nothing) -> None:
    """Run a pipeline, unless its runner can't, or `--dry_run` only shows the job. Raises TandemError."""
    if wants_help(arguments):
        print_help(pipeline.name)
        return
    read = read_arguments(pipeline.name, arguments)
    log_as(read["log_format"])
    if flag_named(pipeline.name, "dry-run").of_beam and read["dry_run"]:
        show_dry_run(pipeline, read)
        return
    with beside(read):
        _run(pipeline, read)


def _run(pipeline: Launchable, read: Arguments) -> None:
    passed = gate(pipeline, read)
    accepted = read["accept"]
    for finding in passed.warnings:
        if not logged(finding.line(accepted), logging.WARNING, code=finding.code):
            say(f"{finding.heading(accepted)}: {finding.line(accepted)}", err=True)
    try:
        with ended_by_signals(lambda: f"interrupted: {pipeline.interrupted}"):
            pipeline.run(passed.arguments)
    except grpc.RpcError as error:
        raise TandemError(
            f"the job server is gone ({code_of(error)}); what it was given may run still: see on the runner, "
            "then start it again"
        ) from error


def entry(pipeline: Launchable) -> None:
    """`python -m tandem.pipelines.NAME`: as `tandem NAME`. An error is one line and an exit code."""
    keep_private()
    words = sys.argv[1:]
    trace = wants_trace(words)
    ended(lambda: launch(pipeline, words), trace=trace)
