"""Checks a command line before its launch, for `tandem plan` and for every launch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api

from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import findings_of_sketches, updates_of
from tandem.runners.local.tied_prism import OPEN_PORT
from tandem.runners.options.reading import Arguments
from tandem.runners.plan import updates as plan_updates
from tandem.runners.plan.before_launch import findings_of
from tandem.runners.plan.checks.local import SERVED
from tandem.runners.plan.checks.options import check_ignored
from tandem.runners.plan.checks.reachable import check_prism
from tandem.runners.plan.findings import Finding, Level, in_order, refuse
from tandem.runners.plan.graph import Graph
from tandem.runners.plan.launch import Engine, Launch, engine_of, flag_values, take_value
from tandem.runners.submission.flags import LIVE_DEFAULTS, arranged
from tandem.runners.submission.job_servers import YEARS
from tandem.runners.submission.launching import FN_API_RUNNER, is_local
from tandem.runners.submission.runner_names import runner_of, spelled
from tandem.schemas.errors import LaunchError, TandemError

__all__ = ["Gate", "gate", "with_long_timeout", "with_runner_flags"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A launch that passed its checks."""

    arguments: Arguments
    """With the flags that its runner needs."""
    warnings: tuple[Finding, ...]
    """Including errors that were accepted."""


def gate(pipeline: Launchable, arguments: Arguments) -> Gate:
    """Let a launch pass, with its runner's flags added. Raises LaunchError (exit code 2) where it may not run;
    UserError.

    For this machine's runners only flags are checked: Tandem's own graphs are known to run there.
    """
    against, save = arguments["against"], arguments["save"]
    ready = with_long_timeout(arranged(arguments))
    thorough = against is not None or save is not None or not _is_here(ready)
    findings = _thorough(pipeline, ready, against, save) if thorough else _quick(ready)
    refuse(findings, frozenset(arguments["accept"]), plan=f"tandem plan {pipeline.name}")
    if any(finding.code == "open-port" for finding in findings):
        ready = ready.with_beam(f"--experiments={OPEN_PORT}")
    return Gate(ready, tuple(finding for finding in findings if finding.level is not Level.NOTE))


def with_long_timeout(arguments: Arguments) -> Arguments:
    """The arguments with a `--job_server_timeout` of years, for jobs of a job server.

    Beam 2.77 applies the 300 s of a request to the whole wait for a job: longer jobs would end their launcher.
    """
    flags = flag_values(arguments.beam)
    runner = flags.get("runner") or ""
    if "job_server_timeout" in flags or not runner or engine_of(PipelineOptions([f"--runner={runner}"])) not in SERVED:
        return arguments
    return arguments.with_beam(f"--job_server_timeout={YEARS}")


def _is_here(arguments: Arguments) -> bool:
    runner = flag_values(arguments.beam).get("runner") or ""
    return engine_of(PipelineOptions([f"--runner={runner}"] if runner else [])) is Engine.PRISM


def _quick(arguments: Arguments) -> tuple[Finding, ...]:
    options, name = PipelineOptions(list(arguments.beam)), arguments.command.name
    if name != "live" and is_local(options):
        options.view_as(StandardOptions).runner = FN_API_RUNNER
    launch = Launch(name, Graph(api.Pipeline(), None), options)
    return findings_of(launch, (check_ignored, check_prism))


def _thorough(pipeline: Launchable, arguments: Arguments, against: str | None, save: str | None) -> tuple[Finding, ...]:
    sketches = pipeline.sketch(arguments)
    updates = updates_of(sketches, Path(against)) if against is not None else ()
    if save is not None:
        plan_updates.save(Path(save), [sketch.record() for sketch in sketches])
    return in_order((*updates, *findings_of_sketches(sketches)))


def with_runner_flags(arguments: Arguments) -> tuple[Arguments, tuple[Finding, ...]]:
    """(the arguments of a launch, findings that prevent it), for planning: nothing is downloaded.

    Raises LaunchError for an unknown runner.
    """
    words = spelled(arguments.beam)
    try:
        return with_long_timeout(arranged(replace(arguments, beam=tuple(words)), download=False)), ()
    except TandemError as error:
        defaults = [f"--{flag}={value}" if value else f"--{flag}" for flag, value in LIVE_DEFAULTS.items()]
        kept, runner = take_value(words, "--runner")
        what, remedy = (error.what, error.remedy) if isinstance(error, LaunchError) else (str(error), "")
        remedy = remedy or "start the cluster, or correct the flag"
        asked = "--flink_master" if "flink_master" in flag_values(words) else "--runner"
        where = what.partition(":")[0] if what.startswith("--") else asked
        missing = Finding(Level.ERROR, "runner", what, where, remedy)
        of_runner = [f"--runner={runner_of(runner)}"] if runner else []
        of_live = defaults if arguments.command.name == "live" else ()
        return replace(arguments, beam=(*kept, *of_runner, *of_live)), in_order([missing])
