"""Checks for Flink: checkpoints, savepoints, parallelism, and matching versions."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from apache_beam.options.pipeline_options import FlinkRunnerOptions
from apache_beam.version import __version__ as beam_version

from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.jars import FLINK_LINE, PATCHED
from tandem.runners.flink.jobs import Slots, slots_of
from tandem.runners.flink.rest import FlinkRest
from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import EMBEDDED, Engine, Launch
from tandem.schemas.errors import TandemError

__all__ = [
    "CHECKS",
    "check_checkpoints",
    "check_parallelism",
    "check_savepoint",
    "check_source_state",
    "check_versions",
    "jar_versions",
]

_SECONDS: Final = 2.0


def _number(text: str | None) -> int:
    with suppress(ValueError):
        return int(text or "")
    return -1


def _is_on(launch: Launch, name: str) -> bool:
    return name in launch.flags and str(launch.flags[name]).lower() not in ("false", "0")


def check_checkpoints(launch: Launch) -> Iterator[Finding]:
    """A streaming job without checkpoints, or with weak settings of them."""
    if launch.engine is not Engine.FLINK or not launch.streaming:
        return
    if _number(launch.flags.get("checkpointing_interval")) <= 0:
        yield Finding(
            Level.ERROR,
            "no-checkpoints",
            "without checkpoints Flink can't restore the job's state: any failure ends the job, no bundle is ever"
            " finalized, and --resume has nothing to start from",
            "--checkpointing_interval",
            "pass --checkpointing_interval=10000 (milliseconds)",
        )
        return
    if (launch.flags.get("checkpointing_mode") or "").upper() == "AT_LEAST_ONCE":
        yield Finding(
            Level.ERROR,
            "at-least-once",
            "after a failure elements would be counted again in the state",
            "--checkpointing_mode",
            "leave it out: EXACTLY_ONCE is Flink's default",
        )
    if not _is_on(launch, "retain_externalized_checkpoints_on_cancellation"):
        yield Finding(
            Level.WARNING,
            "checkpoints-deleted",
            "Flink deletes the checkpoints of a job that is cancelled: only a new run, which replays the journal, can"
            " follow it",
            "--retain_externalized_checkpoints_on_cancellation",
            "pass --externalized_checkpoints_enabled --retain_externalized_checkpoints_on_cancellation",
        )


def check_savepoint(launch: Launch) -> Iterator[Finding]:
    """A resumed run needs its own state; a new run must not have another's."""
    if launch.engine is not Engine.FLINK or launch.name != "live":
        return
    path, resume = launch.flags.get("savepoint_path"), launch.places.resume
    if resume and not path:
        yield Finding(
            Level.ERROR,
            "resume",
            f"run {resume} would be resumed without its state: its lanes are read from their beginning",
            "--resume",
            "pass --savepoint_path=PATH of its savepoint or retained checkpoint, or leave --resume out: a new run"
            " replays the journal",
        )
    if path and not resume:
        yield Finding(
            Level.ERROR,
            "resume",
            f"a new run would be given the state of another ({path})",
            "--savepoint_path",
            "pass --resume RUN with the run whose savepoint it is",
        )
    if _is_on(launch, "allow_non_restored_state"):
        yield Finding(
            Level.ERROR,
            "non-restored",
            "state of steps that are gone would be dropped without a word: what they had counted is lost",
            "--allow_non_restored_state",
            "leave it out, or start a new run, which replays the journal",
        )


def check_parallelism(launch: Launch) -> Iterator[Finding]:
    """Parallelism below the number of lanes: lanes wait for each other. Above the number of slots: the job waits."""
    parallelism = launch.options.view_as(FlinkRunnerOptions).parallelism
    if launch.engine is not Engine.FLINK or parallelism <= 0:
        return
    slots = _slots_of(launch)
    yield from _lanes_in_turn(launch, parallelism, slots)
    if slots is not None and parallelism > slots.free:
        yield _too_few(launch, parallelism, slots)


def _lanes_in_turn(launch: Launch, parallelism: int, slots: Slots | None) -> Iterator[Finding]:
    lanes = launch.places.lanes or 0
    if parallelism >= lanes:
        return
    room = slots is None or slots.free >= lanes
    has = (
        ""
        if slots is None or room
        else f"; Flink at {slots.address} has {slots.total} slots, {slots.free} of them free"
    )
    yield Finding(
        Level.WARNING,
        "parallelism",
        f"{lanes} lanes on {parallelism} parallel source{'s' if parallelism > 1 else ''}: lanes take turns, and one"
        f" that is slow holds the others up{has}",
        "--parallelism" if room else "--lanes",
        f"pass --parallelism={lanes}, or fewer --lanes" if room else "pass fewer --lanes, or give Flink more slots",
    )


def _too_few(launch: Launch, parallelism: int, slots: Slots) -> Finding:
    needs = f"the job needs {parallelism} slot{'s' if parallelism > 1 else ''}"
    if parallelism > slots.total:
        fewer = f"pass --parallelism={slots.total}, or give" if slots.total else "give"
        return Finding(
            Level.ERROR,
            "slots",
            f"{needs}, and Flink at {slots.address} has {slots.total}: it would wait for ever",
            "--parallelism",
            f"{fewer} it more TaskManagers or slots (--accept slots where it makes them when they are asked for)",
        )
    # The job that it resumes, or replaces, gives its slots back first.
    return Finding(
        Level.NOTE if launch.places.resume else Level.WARNING,
        "slots",
        f"{needs}, and of the {slots.total} of Flink at {slots.address} {slots.free} are free: it waits until another"
        " job has ended",
        "--parallelism",
        f"pass --parallelism={slots.free}" if slots.free else "end one of the jobs that run there",
    )


def _slots_of(launch: Launch) -> Slots | None:
    """The cluster's slots; None where they are unknown: an embedded Flink has as many as requested."""
    master = str(launch.options.view_as(FlinkRunnerOptions).flink_master).strip()
    if master in EMBEDDED:
        return None
    with suppress(TandemError, KeyError, TypeError, ValueError):
        return slots_of(FlinkRest(master, timeout=_SECONDS))
    return None


def check_versions(launch: Launch) -> Iterator[Finding]:
    """Flink, its job server, and this SDK must have matching versions. Queries the cluster, and reads the jar."""
    if launch.engine is not Engine.FLINK:
        return
    flink = launch.options.view_as(FlinkRunnerOptions)
    jar = jar_versions(flink.flink_job_server_jar) if flink.flink_job_server_jar else None
    wanted, of = (jar[0], "the job server jar") if jar else (str(flink.flink_version), "--flink_version")
    if jar and jar[0] and "flink_version" in launch.flags and jar[0] != str(flink.flink_version):
        yield _mismatch(f"the job server jar is for Flink {jar[0]}", f"--flink_version is {flink.flink_version}")
    master = str(flink.flink_master).strip()
    asked = None if master in EMBEDDED else cluster_version(master)
    # With a running job server neither the jar nor the flag shows its version of Flink.
    served = "job_endpoint" in launch.flags and "flink_version" not in launch.flags and jar is None
    if asked is not None and wanted is not None and not served and _minor(asked) != _minor(wanted):
        yield _mismatch(f"{master} runs Flink {asked}", f"{of} is for {wanted}")
    if asked is None and master not in EMBEDDED:
        yield Finding(
            Level.ERROR,
            "cluster",
            f"{master} doesn't answer as a Flink cluster within {_SECONDS:.0f} s",
            "--flink_master",
            "start it, or correct the address (of its REST port)",
        )
    if jar and jar[1] and jar[1] != beam_version and not _is_patched(launch):
        yield Finding(
            Level.NOTE,
            "job-server",
            f"the job server is of Beam {jar[1]}, this SDK is {beam_version}: they understand each other, but for"
            " what is newer than the older one",
            "--flink_job_server_jar",
            f"where you can, take beam-runners-flink-{wanted}-job-server-{beam_version}.jar",
        )


def check_source_state(launch: Launch) -> Iterator[Finding]:
    """Only Tandem's job server keeps a source's residuals under one name: `flink_source_state`."""
    if launch.engine is Engine.FLINK and launch.streaming and not _is_patched(launch):
        yield Finding(
            Level.WARNING,
            "source-state",
            "this job server's jobs keep 5 KB more in the heap and in each checkpoint with every bundle of a lane, for"
            " ever (apache/beam issue 27648)",
            "--job_endpoint" if launch.flags.get("job_endpoint") else "--flink_job_server_jar",
            _to_patched(launch),
        )


def _to_patched(launch: Launch) -> str:
    """The remedy: a job server of Tandem's own that this cluster can take."""
    flink = launch.options.view_as(FlinkRunnerOptions)
    line = str(flink.flink_version) if "flink_version" in launch.flags else FLINK_LINE
    master = str(flink.flink_master).strip()
    asked = None if master in EMBEDDED else cluster_version(master)
    if _minor(asked or line) != FLINK_LINE:
        return (
            f"Tandem patches that of Flink {FLINK_LINE} alone, and the job runs on {_minor(asked or line)}: look at the"
            " size of checkpoints, and start a new run when it grows too large"
        )
    named = [f"--{n}" for n in ("job_endpoint", "flink_job_server_jar", "flink_version") if n in launch.flags]
    if not named:
        return "pass --flink_job_server_jar=PATH of Tandem's own, which `python -m tandem.runners.flink.jars` provides"
    return f"leave {' and '.join(named)} out: Tandem then starts its own"


def _is_patched(launch: Launch) -> bool:
    endpoint, jar = launch.flags.get("job_endpoint"), launch.options.view_as(FlinkRunnerOptions).flink_job_server_jar
    if endpoint is None:
        return jar is not None and Path(jar).name.endswith(f"{PATCHED}.jar")
    return any(f"--job_endpoint={endpoint}" in cluster.flags() for cluster in Cluster.running())


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _mismatch(one: str, other: str) -> Finding:
    return Finding(
        Level.ERROR,
        "flink-version",
        f"{one}, and {other}: a job server can submit to clusters of its own version only",
        "--flink_version",
        "take the job server of the cluster's version",
    )


def cluster_version(master: str) -> str | None:
    """The version at a cluster's REST port; None without an answer."""
    url = master if "://" in master else f"http://{master}"
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/config", timeout=_SECONDS) as answer:
            stated: Any = json.load(answer)
        return str(stated["flink-version"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None


def jar_versions(path: str) -> tuple[str | None, str | None]:
    """(Flink's minor version, Beam's version) of a job server jar, by its name, else by its class path."""
    pattern = r"beam-runners-flink-(\d+\.\d+)(?:-job-server)?-(\d+\.\d+\.\d+)"
    text = path.rpartition("/")[2]
    if not re.search(pattern, text):
        try:
            with zipfile.ZipFile(path) as jar:
                manifest = jar.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
        except (OSError, KeyError, zipfile.BadZipFile):
            return None, None
        text = manifest.replace("\r", "").replace("\n ", "")
    found = re.search(pattern, text)
    return (found[1], found[2]) if found else (None, None)


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (
    check_checkpoints,
    check_savepoint,
    check_parallelism,
    check_versions,
    check_source_state,
)
