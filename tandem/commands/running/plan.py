"""`tandem plan`: limitations of a runner for a pipeline, before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tandem.pipelines.planning.sketch import Sketch
    from tandem.runners.plan.findings import Finding

from tandem.pipelines.console.printing import print_json

__all__ = ["plan"]


def plan(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="live, backfill, publish, reconcile, backtest")],
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
    from tandem.pipelines.launchables import launchable
    from tandem.pipelines.planning.report import planned, print_plan, write_job_of
    from tandem.pipelines.planning.sketch import updates_of
    from tandem.runners.options.reading import read_arguments
    from tandem.runners.plan.findings import errors_of, in_order

    chosen = launchable(pipeline)
    sketches, findings = planned(chosen, read_arguments(chosen.name, context.args))
    if against is not None:
        findings = in_order((*findings, *updates_of(sketches, against)))
    if save is not None:
        _save(sketches, save)
    if job_file is not None:
        write_job_of(sketches, job_file)
    if as_json:
        print_json(_data(sketches, findings))
    else:
        print_plan(sketches, findings, accept or ())
    if errors_of(findings, accept or ()):
        raise typer.Exit(2)


def _save(sketches: Sequence[Sketch], path: Path) -> None:
    from tandem.runners.plan.updates import save

    save(path, [sketch.record() for sketch in sketches])


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
