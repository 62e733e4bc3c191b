"""The output of `tandem plan` and `--dry_run`: findings about a launch, and its job as a file."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from apache_beam.options.pipeline_options import DebugOptions

from tandem.pipelines.console.printing import cell, console, say
from tandem.pipelines.console.tables import Column, print_table
from tandem.pipelines.planning.gate import with_runner_flags
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import Sketch, findings_of_sketches
from tandem.runners.dataflow.job_graph import check_runner, write_job
from tandem.runners.options.reading import Arguments
from tandem.runners.plan.findings import Finding, errors_of, in_order
from tandem.runners.plan.launch import flag_values
from tandem.schemas.errors import UserError

__all__ = ["planned", "print_plan", "show_dry_run", "write_job_of"]

_COLOURS: Final = {"error": "red", "accepted": "yellow", "warning": "yellow", "note": "cyan"}


def planned(pipeline: Launchable, arguments: Arguments) -> tuple[Sequence[Sketch], tuple[Finding, ...]]:
    """The graphs that a launch with these arguments would have, and the findings about them."""
    ready, hindrances = with_runner_flags(arguments)
    sketches = pipeline.sketch(ready)
    found = findings_of_sketches(sketches)
    if hindrances:  # the missing cluster is a finding: its workers and version are unknown
        unknown = {"cluster", "environment"}
        named = flag_values(arguments.beam).keys() & {"flink_version", "flink_job_server_jar", "job_endpoint"}
        if not named:  # Tandem would have started its own
            unknown |= {"flink-version", "source-state"}
        elif "flink_version" not in named:
            unknown.add("flink-version")
        found = tuple(finding for finding in found if finding.code not in unknown)
    return sketches, in_order((*hindrances, *found))


def show_dry_run(pipeline: Launchable, arguments: Arguments) -> None:
    """`tandem NAME ... --dry_run`: print the job for Dataflow, and write it to `--dataflow_job_file` if that is given.

    Exit code 2 where a launch would be refused. Raises UserError for other runners, which have no job file.
    """
    sketches, findings = planned(pipeline, arguments)
    check_runner(sketches[0].options)
    path = sketches[0].options.view_as(DebugOptions).dataflow_job_file
    print_plan(sketches, findings, arguments["accept"])
    if path:
        write_job_of(sketches, Path(path))
        say(f"the job that would be sent is in {path}")
    if errors_of(findings, arguments["accept"]):
        sys.exit(2)


def write_job_of(sketches: Sequence[Sketch], path: Path) -> None:
    """Write the one job of these sketches in Dataflow's form. Raises UserError for several."""

    if len(sketches) > 1:
        raise UserError(f"these definitions make {len(sketches)} jobs, and --job-file is one; name them one by one")
    write_job(sketches[0].pipeline, sketches[0].options, path)


def print_plan(sketches: Sequence[Sketch], findings: Sequence[Finding], accepted: Collection[str] = ()) -> None:
    """Print the graphs and the findings: a table on a terminal, lines elsewhere. `accepted`: codes of errors."""
    for sketch in sketches:
        record = sketch.record()
        kept = sum(step.keeps for step in record.steps.values())
        say(f"{sketch.name} on {sketch.launch().engine}: {len(record.steps)} steps, {kept} of them keep something")
    if not findings:
        say("nothing to say: it can be launched")
        return
    if not sys.stdout.isatty():
        for finding in findings:
            say(f"{finding.heading(accepted)}: {finding.line(accepted)}")
        return
    columns = [Column("", keep=True), Column("code", keep=True), Column("what", keep=True, wrap=True)]
    columns += [Column("where", wrap=True), Column("remedy", keep=True, wrap=True)]
    rows = (
        (
            cell(finding.heading(accepted), _COLOURS[finding.heading(accepted)]),
            finding.code,
            finding.what,
            finding.where,
            "" if finding.is_accepted(accepted) else finding.remedy,
        )
        for finding in findings
    )
    print_table(console(), columns, rows)
