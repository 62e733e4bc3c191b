"""`tandem plan`: what a runner can't do with a pipeline, or does otherwise, before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from tandem.pipelines.planning.sketch import Sketch
    from tandem.runners.plan.findings import Finding

from tandem.output.printing import cell, console, print_json, say
from tandem.output.tables import Column, print_table

__all__ = ["PLAN_SETTINGS", "plan", "show_dry_run"]

PLAN_SETTINGS: Final[dict[str, Any]] = {"context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}}
"""What isn't a flag of ours is one of the pipeline, or of Beam."""
_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}


def plan(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="live, backfill, publish or reconcile")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="write the graph there, to compare with")] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="a graph that runs, by --save: what would an update break?"),
    ] = None,
    job_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the job as it would be sent to Dataflow; nothing is sent")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="don't count errors of this code; repeatable")
    ] = None,
) -> None:
    """Say what the chosen runner can't do with a pipeline; takes all flags of the pipeline, and starts nothing."""
    from tandem.pipelines.planning.sketch import updates_of
    from tandem.runners.plan.findings import errors_of, in_order

    sketches, findings = _planned(pipeline, context.args)
    if against is not None:
        findings = in_order((*findings, *updates_of(sketches, against)))
    if save is not None:
        _save(sketches, save)
    if job_file is not None:
        _write_job(sketches, job_file)
    if as_json:
        print_json(_data(sketches, findings))
    else:
        _print(sketches, findings)
    if errors_of(findings, accept or ()):
        raise typer.Exit(2)


def _planned(name: str, arguments: Sequence[str]) -> tuple[Sequence[Sketch], tuple[Finding, ...]]:
    """What a launch with these arguments would launch, and what is to be said about it."""
    from tandem.pipelines.planning.gate import with_runner_flags
    from tandem.pipelines.planning.sketch import findings_of_sketches, sketched
    from tandem.runners.plan.findings import in_order
    from tandem.runners.plan.launch import flag_values

    words, hindrances = with_runner_flags(name, arguments)
    sketches = sketched(name, words)
    found = findings_of_sketches(sketches)
    if hindrances:  # a cluster that isn't there has been told of; its workers and its version aren't known
        unknown = {"cluster", "environment"}
        named = flag_values(arguments).keys() & {"flink_version", "flink_job_server_jar", "job_endpoint"}
        if not named:  # Tandem would have brought its own
            unknown |= {"flink-version", "source-state"}
        elif "flink_version" not in named:
            unknown.add("flink-version")
        found = tuple(finding for finding in found if finding.code not in unknown)
    return sketches, in_order((*hindrances, *found))


def show_dry_run(name: str, arguments: Sequence[str]) -> None:
    """`tandem NAME ... --dry_run`: what would be sent to Dataflow, written to `--dataflow_job_file` if that is named.

    Exit code 2 where a launch would be refused. Raises UserError for other runners, which have no such thing.
    """
    from apache_beam.options.pipeline_options import DebugOptions

    from tandem.runners.dataflow.job_graph import check_runner
    from tandem.runners.plan.before_launch import accepted_codes
    from tandem.runners.plan.findings import errors_of

    rest, accepted = accepted_codes(arguments)
    sketches, findings = _planned(name, rest)
    check_runner(sketches[0].options)
    path = sketches[0].options.view_as(DebugOptions).dataflow_job_file
    _print(sketches, findings)
    if path:
        _write_job(sketches, Path(path))
        say(f"the job that would be sent is in {path}")
    if errors_of(findings, accepted):
        raise typer.Exit(2)


def _save(sketches: Sequence[Sketch], path: Path) -> None:
    from tandem.runners.plan.updates import save

    save(path, [sketch.record() for sketch in sketches])


def _write_job(sketches: Sequence[Sketch], path: Path) -> None:
    from tandem.runners.dataflow.job_graph import write_job
    from tandem.schemas.errors import UserError

    if len(sketches) > 1:
        raise UserError(f"these definitions make {len(sketches)} jobs, and --job-file is one; name them one by one")
    write_job(sketches[0].pipeline, sketches[0].options, path)


def _data(sketches: Sequence[Sketch], findings: Sequence[Finding]) -> dict[str, Any]:
    from tandem.runners.plan.updates import digest_of_state

    return {
        "pipelines": [
            {
                "name": sketch.name,
                "runner": str(sketch.launch().engine),
                "steps": len(sketch.record().steps),
                "state": digest_of_state(sketch.record().steps),
            }
            for sketch in sketches
        ],
        "findings": [finding.data() for finding in findings],
    }


def _print(sketches: Sequence[Sketch], findings: Sequence[Finding]) -> None:
    for sketch in sketches:
        record = sketch.record()
        kept = sum(step.keeps for step in record.steps.values())
        say(f"{sketch.name} on {sketch.launch().engine}: {len(record.steps)} steps, {kept} of them keep something")
    if not findings:
        say("nothing to say: it can be launched")
        return
    if not sys.stdout.isatty():
        for finding in findings:
            say(f"{finding.level}: {finding.line()}")
        return
    columns = [Column("", keep=True), Column("code", keep=True), Column("what", keep=True, wrap=True)]
    columns += [Column("where", wrap=True), Column("remedy", keep=True, wrap=True)]
    rows = (
        (cell(finding.level, _COLOURS[str(finding.level)]), finding.code, finding.what, finding.where, finding.remedy)
        for finding in findings
    )
    print_table(console(), columns, rows)
