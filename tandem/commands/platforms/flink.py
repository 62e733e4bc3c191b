"""Commands for a Flink on this machine: start, status, stop; savepoints of its jobs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tandem.pipelines.console.printing import print_json, say
from tandem.schemas.errors import LaunchError, TandemError, UserError

if TYPE_CHECKING:
    from tandem.runners.flink.cluster import Cluster
    from tandem.runners.flink.jobs import JobView
    from tandem.runners.flink.rest import FlinkRest, Job

__all__ = ["savepoint", "start", "status", "stop", "stop_job"]

FolderOption = Annotated[
    Path | None,
    typer.Option("--home", help="folder of its state (default: $TANDEM_FLINK_HOME, else in the cache)"),
]
MasterOption = Annotated[str | None, typer.Option("--flink-master", help="HOST:PORT of another Flink's REST interface")]
_NO_SAVEPOINT: Final = ("INITIALIZING", "RESTARTING", "FAILING", "RECONCILING")
"""States of jobs whose tasks can't write a savepoint."""
JobArgument = Annotated[
    str | None,
    typer.Argument(metavar="[RUN|JOB]", help="a live run, or the beginning of a job's id (default: the only job)"),
]


def start(
    home: FolderOption = None,
    task_managers: Annotated[int | None, typer.Option(min=1, max=16, help="TaskManagers (default: 2)")] = None,
    slots: Annotated[int | None, typer.Option(min=1, max=64, help="slots of each TaskManager (default: 2)")] = None,
    heap: Annotated[int | None, typer.Option(min=256, help="MiB of each Java heap (default: 1024)")] = None,
    rest_port: Annotated[int | None, typer.Option(help="JobManager's REST interface (default: a free one)")] = None,
    job_port: Annotated[int | None, typer.Option(help="Beam's job server (default: a free one)")] = None,
    pool_port: Annotated[int | None, typer.Option(help="pool of Python workers (default: a free one)")] = None,
) -> None:
    """Start a Flink on this machine, with Beam's job server and a pool of Python workers; or what of it is dead."""
    from tandem.runners.flink.cluster import Cluster

    asked = {
        "task_managers": task_managers,
        "slots": slots,
        "heap": heap,
        "rest_port": rest_port,
        "job_port": job_port,
        "pool_port": pool_port,
    }
    wanted = {name: value for name, value in asked.items() if value is not None}
    cluster = Cluster.start(home, note=lambda line: say(line, err=True), **wanted)
    _print_parts(cluster)
    _print_flags(cluster)


def stop(home: FolderOption = None) -> None:
    """End all processes of the Flink on this machine; jobs that run are lost but for their checkpoints."""
    from tandem.runners.flink.cluster import Cluster

    stopped = Cluster.at(home).stop()
    say(f"stopped {', '.join(stopped)}" if stopped else "nothing ran any more")


def status(
    home: FolderOption = None, as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False
) -> None:
    """Show every process, jobs with what is known of each, and flags to run with; exit code 1 when one is dead."""
    from tandem.runners.flink.cluster import Cluster

    cluster = Cluster.at(home)
    jobs, unknown = _jobs(cluster.rest)
    if as_json:
        print_json(_as_json(cluster, jobs, unknown))
    else:
        _print_parts(cluster)
        for job in jobs:
            _print_job(job, cluster.rest.address)
        if unknown:
            say(f"jobs aren't known: {unknown}")
        _print_flags(cluster)
    dead = [name for name, part in cluster.parts().items() if not part.alive]
    if dead:
        raise TandemError(f"{', '.join(dead)}: dead; `tandem flink start` starts it again")


def savepoint(job: JobArgument = None, home: FolderOption = None, flink_master: MasterOption = None) -> None:
    """Write a savepoint of a job that goes on."""
    rest = _rest(home, flink_master)
    found = _job(rest, job)
    say(rest.savepoint(found.id, rest.state_folder(found.id), stop=False))


def stop_job(job: JobArgument = None, home: FolderOption = None, flink_master: MasterOption = None) -> None:
    """Stop a job with a savepoint, from which `tandem live --runner flink --resume RUN` goes on.

    One that waits for slots, or is bounded, can't write a savepoint: it is cancelled.
    """
    from tandem.runners.flink.jobs import run_of, view_of

    rest = _rest(home, flink_master)
    found = _job(rest, job)
    view = view_of(rest, found)
    if view.waits or view.kind == "bounded" or found.state in _NO_SAVEPOINT:
        rest.cancel(found.id)
        why = view.waits or ("is bounded" if view.kind == "bounded" else f"was {found.state}")
        say(f"job {found.id} {why}: it can't write a savepoint, and was cancelled", err=True)
        left = view.checkpoint
    else:
        left = rest.savepoint(found.id, rest.state_folder(found.id), stop=True)
    if left:
        say(left)
    if run := run_of(found):
        how = f"--resume {run} goes on from it" if left else "it has no checkpoint: a new run goes on from the journal"
        say(how, err=True)


def _rest(home: Path | None, master: str | None) -> FlinkRest:
    from tandem.runners.flink.address import check_master
    from tandem.runners.flink.cluster import Cluster
    from tandem.runners.flink.rest import FlinkRest
    from tandem.runners.plan.launch import EMBEDDED

    if not master:
        return Cluster.at(home).rest
    check_master(master)
    if master in EMBEDDED:
        raise UserError(f"--flink-master {master}: such a Flink lives in a job server, and answers nobody else")
    return FlinkRest(master)


def _job(rest: FlinkRest, wanted: str | None) -> Job:
    """The chosen job, by its id or its live run. Raises LaunchError."""
    from tandem.runners.flink.rest import RUNNING

    if wanted is not None:
        named = [job for job in rest.jobs() if job.name == f"tandem-{wanted}" and job.state in RUNNING]
        return named[0] if len(named) == 1 else rest.job(wanted)
    running = [job for job in rest.jobs() if job.state in RUNNING]
    if len(running) != 1:
        known = ", ".join(f"{job.id} ({job.name})" for job in running) or "none"
        raise LaunchError(f"{len(running)} jobs run, and none was named: {known}")
    return running[0]


def _jobs(rest: FlinkRest) -> tuple[list[JobView], str | None]:
    """(the jobs, reason if none is known)."""
    from tandem.runners.flink.jobs import view_of

    try:
        return [view_of(rest, job) for job in rest.jobs()], None
    except TandemError as error:
        return [], str(error)


def _print_parts(cluster: Cluster) -> None:
    for name, part in cluster.parts().items():
        state = f"process {part.process.pid}" if part.process and part.alive else "dead"
        port = f"port {part.port}" if part.port else ""
        say(f"{name:<16} {state:<16} {port:<11} {part.log}")
    say(f"web pages: {cluster.rest.url}   checkpoints and savepoints: {cluster.home}")


def _print_job(view: JobView, address: str) -> None:
    from tandem.runners.flink.jobs import to_end, to_spread
    from tandem.serving.questions.answers.shown_times import short_time

    known = [view.kind, f"since {short_time(view.job.started * 1000, seconds=True)}"]
    known.append(f"parallelism {view.parallelism}" if view.parallelism else None)
    known.append(f"checkpoint {view.checkpoint or 'none'}" if view.checkpoint or view.kind != "bounded" else None)
    say(f"job {view.job.id}  {view.job.state:<10} {view.job.name}")
    say(f"    {', '.join(filter(None, known))}")
    if view.waits:
        say(f"    {view.waits}; `{to_end(view.job.name, address)}` ends it")
    if view.crowded:
        say(f"    {view.crowded}; {to_spread(view, address)}")


def _job_as_json(view: JobView) -> dict[str, Any]:
    return {
        "id": view.job.id,
        "name": view.job.name,
        "state": view.job.state,
        "kind": view.kind,
        "since": view.job.started * 1000,
        "parallelism": view.parallelism,
        "checkpoint": view.checkpoint,
        "task_managers": dict(view.held),
        "waits": view.waits,
        "crowded": view.crowded,
    }


def _print_flags(cluster: Cluster) -> None:
    say(f"\nRun with --runner flink, or, also with Beam alone:\n  {shlex.join(cluster.flags())}", lines=True)


def _as_json(cluster: Cluster, jobs: list[JobView], unknown: str | None) -> dict[str, Any]:
    parts = {
        name: {
            "alive": part.alive,
            "pid": part.process.pid if part.process else None,
            "port": part.port,
            "log": str(part.log),
        }
        for name, part in cluster.parts().items()
    }
    workers = [worker.pid for worker in cluster.workers()]
    return {
        "home": str(cluster.home),
        "rest": cluster.rest.url,
        "parts": parts,
        "workers": workers,
        "jobs": [_job_as_json(job) for job in jobs],
        "jobs_unknown": unknown,
        "flags": cluster.flags(),
    }
