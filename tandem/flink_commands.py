"""Commands for a Flink on this machine: start it, look at it, stop it; savepoints of its jobs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.schemas.errors import LaunchError, TandemError

if TYPE_CHECKING:
    from tandem.runners.flink_cluster import Cluster
    from tandem.runners.flink_rest import FlinkRest, Job

__all__ = ["savepoint", "start", "status", "stop", "stop_job"]

FolderOption = Annotated[
    Path | None,
    typer.Option("--home", help="folder of its state (default: $TANDEM_FLINK_HOME, else in the cache)"),
]
MasterOption = Annotated[str | None, typer.Option("--flink-master", help="HOST:PORT of another Flink's REST interface")]
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
    from tandem.runners.flink_cluster import Cluster

    asked = {
        "task_managers": task_managers,
        "slots": slots,
        "heap": heap,
        "rest_port": rest_port,
        "job_port": job_port,
        "pool_port": pool_port,
    }
    wanted = {name: value for name, value in asked.items() if value is not None}
    cluster = Cluster.start(home, note=lambda line: typer.echo(line, err=True), **wanted)
    _print_parts(cluster)
    _print_flags(cluster)


def stop(home: FolderOption = None) -> None:
    """End all processes of the Flink on this machine; jobs that run are lost but for their checkpoints."""
    from tandem.runners.flink_cluster import Cluster

    stopped = Cluster.at(home).stop()
    typer.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing ran any more")


def status(
    home: FolderOption = None, as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False
) -> None:
    """Show every process, slots, jobs with their checkpoints, and flags to run with; exit code 1 when one is dead."""
    from tandem.runners.flink_cluster import Cluster

    cluster = Cluster.at(home)
    jobs = _jobs(cluster.rest)
    if as_json:
        typer.echo(json.dumps(_as_json(cluster, jobs)))
    else:
        _print_parts(cluster)
        for job in jobs:
            typer.echo(f"job {job['id']}  {job['state']:<9} {job['name']}, checkpoint {job['checkpoint'] or 'none'}")
        _print_flags(cluster)
    dead = [name for name, part in cluster.parts().items() if not part.alive]
    if dead:
        raise TandemError(f"{', '.join(dead)}: dead; `tandem flink start` starts it again")


def savepoint(job: JobArgument = None, home: FolderOption = None, flink_master: MasterOption = None) -> None:
    """Write a savepoint of a job that goes on."""
    rest = _rest(home, flink_master)
    found = _job(rest, job)
    typer.echo(rest.savepoint(found.id, rest.state_folder(found.id), stop=False))


def stop_job(job: JobArgument = None, home: FolderOption = None, flink_master: MasterOption = None) -> None:
    """Stop a job with a savepoint; `tandem live --runner flink --resume RUN` goes on from it."""
    rest = _rest(home, flink_master)
    found = _job(rest, job)
    typer.echo(rest.savepoint(found.id, rest.state_folder(found.id), stop=True))
    if found.name.startswith("tandem-"):
        typer.echo(f"--resume {found.name.removeprefix('tandem-')} goes on from it", err=True)


def _rest(home: Path | None, master: str | None) -> FlinkRest:
    from tandem.runners.flink_cluster import Cluster
    from tandem.runners.flink_rest import FlinkRest

    return FlinkRest(master) if master else Cluster.at(home).rest


def _job(rest: FlinkRest, wanted: str | None) -> Job:
    """The job that is meant; of a run by its name. Raises LaunchError."""
    from tandem.runners.flink_rest import RUNNING

    if wanted is not None:
        named = [job for job in rest.jobs() if job.name == f"tandem-{wanted}" and job.state in RUNNING]
        return named[0] if len(named) == 1 else rest.job(wanted)
    running = [job for job in rest.jobs() if job.state in RUNNING]
    if len(running) != 1:
        known = ", ".join(f"{job.id} ({job.name})" for job in running) or "none"
        raise LaunchError(f"{len(running)} jobs run, and none was named: {known}")
    return running[0]


def _jobs(rest: FlinkRest) -> list[dict[str, Any]]:
    try:
        return [
            {"id": job.id, "name": job.name, "state": job.state, "checkpoint": rest.latest_checkpoint(job.id)}
            for job in rest.jobs()
        ]
    except TandemError:
        return []


def _print_parts(cluster: Cluster) -> None:
    for name, part in cluster.parts().items():
        state = f"process {part.process.pid}" if part.process and part.alive else "dead"
        port = f"port {part.port}" if part.port else ""
        typer.echo(f"{name:<16} {state:<16} {port:<11} {part.log}")
    typer.echo(f"web pages: {cluster.rest.url}   checkpoints and savepoints: {cluster.home}")


def _print_flags(cluster: Cluster) -> None:
    typer.echo(f"\nRun with --runner flink, or, also with Beam alone:\n  {shlex.join(cluster.flags())}")


def _as_json(cluster: Cluster, jobs: list[dict[str, Any]]) -> dict[str, Any]:
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
        "jobs": jobs,
        "flags": cluster.flags(),
    }
