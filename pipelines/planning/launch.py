"""Launching a pipeline: its flags are looked at, what its runner can't do is refused, then it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

import grpc

from tandem.pipelines.console.ending import ended, wants_trace
from tandem.pipelines.console.printing import say
from tandem.pipelines.planning.gate import dry_run, gate
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.report import show_dry_run
from tandem.runners.submission.interrupts import ended_by_signals
from tandem.runners.submission.remote_runs import code_of
from tandem.schemas.errors import TandemError

__all__ = ["entry", "launch"]

_PRIVATE: Final = 0o077
"""What this process and those that it starts make is for its user alone; see `tandem.schemas.privacy.files`."""


def launch(pipeline: Launchable, arguments: Sequence[str]) -> None:
    """Run a pipeline, unless its runner can't, or `--dry_run` asks only what would be sent. Raises TandemError."""
    if {"--help", "-h"} & set(arguments):
        pipeline.run(arguments)
        return
    rest, dry = dry_run(arguments)
    if dry:
        show_dry_run(pipeline, rest)
        return
    passed = gate(pipeline, rest)
    for finding in passed.warnings:
        say(f"{finding.level}: {finding.line()}", err=True)
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
    os.umask(_PRIVATE)
    words = sys.argv[1:]
    trace = wants_trace(words)
    ended(lambda: launch(pipeline, words), trace=trace)
