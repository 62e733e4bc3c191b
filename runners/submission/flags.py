"""Adds the flags that a runner needs to the user's, before a pipeline gets them.

A given flag is never changed. `--runner flink` stands for the cluster that `tandem flink start` has started.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from tandem.journal.runs.manifests import list_runs, load_run
from tandem.journal.storage.opening import open_blobs
from tandem.runners.flink.address import check_master
from tandem.runners.flink.runner_states import newest_state
from tandem.runners.options.places import Home, scratch_below
from tandem.runners.options.reading import Arguments
from tandem.runners.plan.launch import EMBEDDED, flag_values, is_this_machine, take_value
from tandem.runners.submission.remote_runs import job_name, state_folder
from tandem.runners.submission.runner_names import OWN_FLINK, spelled
from tandem.schemas.errors import LaunchError, TandemError

__all__ = ["BATCH_DEFAULTS", "LIVE_DEFAULTS", "arranged"]

LIVE_DEFAULTS: Final[Mapping[str, str]] = {
    "checkpointing_interval": "10000",
    "checkpoint_timeout_millis": "60000",
    "externalized_checkpoints_enabled": "",
    "retain_externalized_checkpoints_on_cancellation": "",
    "max_bundle_size": "100000",
    "max_bundle_time_mills": "200",
    "object_reuse": "",
    "operator_chaining": "",
    "finish_bundle_before_checkpointing": "",
}
"""Flags for unbounded pipelines on Flink, see docs/runners.md; times in milliseconds. Empty: the flag has no value."""
BATCH_DEFAULTS: Final[Mapping[str, str]] = {
    "max_bundle_size": "1000000",
    "object_reuse": "",
    "environment_cache_millis": "60000",
}
"""Flags for bounded pipelines on Flink. Flink would start new workers for each stage, which takes seconds."""


def arranged(arguments: Arguments, *, download: bool = True) -> Arguments:
    """The arguments of a pipeline (live, backfill, publish, reconcile) with the flags that its runner needs.

    Raises LaunchError for an unknown runner, for an invalid address of a Flink, when `--runner flink` finds no cluster,
    or when the run to resume has no state. Without `download` a job server that isn't in the cache is named all the
    same.
    """
    words = spelled(arguments.beam)
    flags = flag_values(words)
    runner = (flags.get("runner") or "").rpartition(".")[2]
    if runner not in (OWN_FLINK, "FlinkRunner"):
        return replace(arguments, beam=tuple(words))
    added: dict[str, str] = {}
    if runner == OWN_FLINK:
        words, _ = take_value(words, "--runner")
        added |= _of_own_cluster(flags)
    else:
        added |= _of_address(flags, download)
    added |= _of_pipeline(arguments, {**added, **flags})
    more = [_flag(name, value) for name, value in added.items() if name not in flags or name == "runner"]
    return _with_scratch(replace(arguments, beam=(*words, *more)), {**added, **flags})


def _with_scratch(arguments: Arguments, flags: Mapping[str, Any]) -> Arguments:
    """Add a folder for a backfill's temporary files, where all workers are on this machine."""
    if arguments.command.name != "backfill" or arguments.has("scratch") or not _is_here(flags):
        return arguments
    return arguments.with_value("scratch", scratch_below(arguments["home"]))


def _flag(name: str, value: str) -> str:
    return f"--{name}={value}" if value else f"--{name}"


def _of_own_cluster(flags: Mapping[str, Any]) -> dict[str, str]:
    """Flags of the cluster in $TANDEM_FLINK_HOME, or in the cache."""
    from tandem.runners.flink.cluster import Cluster

    cluster = Cluster.at()
    dead = [name for name, part in cluster.parts().items() if not part.alive]
    if dead:
        raise LaunchError(
            f"--runner flink: {', '.join(dead)} of {cluster.home} is dead", "`tandem flink start` starts it"
        )
    return flag_values(cluster.flags((flags.get("environment_type") or "EXTERNAL").upper()))  # type: ignore[return-value]


def _of_address(flags: Mapping[str, Any], download: bool) -> dict[str, str]:
    """Flags for the workers and the job server of a Flink that others have started, or an embedded one."""
    added: dict[str, str] = {}
    master = str(flags.get("flink_master") or "[auto]").strip()
    endpoint = flags.get("job_endpoint")
    check_master(master)
    if _is_here(flags) and "environment_type" not in flags:
        added["environment_type"] = "LOOPBACK"
    if endpoint is None and "flink_job_server_jar" not in flags and "flink_version" not in flags:
        added |= _job_server(master, download)
    return added


def _job_server(master: str, download: bool) -> dict[str, str]:
    """The cached job server where it fits; otherwise Beam's default, for the version that answers."""
    from tandem.runners.flink.jars import FLINK_LINE, cached, provide
    from tandem.runners.flink.rest import FlinkRest

    line = FLINK_LINE if master in EMBEDDED else ".".join(FlinkRest(master).version().split(".")[:2])
    if line != FLINK_LINE:
        return {"flink_version": line}
    jars = provide() if download else cached()
    return {"flink_version": line, "flink_job_server_jar": str(jars.job_server)}


def _of_pipeline(arguments: Arguments, flags: Mapping[str, Any]) -> dict[str, str]:
    if arguments.command.name != "live":
        return {**BATCH_DEFAULTS, **_slots(flags, _cores())}
    wanted = max(_of_run(arguments, "lanes"), _of_run(arguments, "shards"))
    added = {**LIVE_DEFAULTS, **_slots(flags, wanted, _replaced(arguments))}
    if _is_number(flags.get("checkpointing_interval")) and int(flags["checkpointing_interval"]) <= 0:
        added = {name: value for name, value in added.items() if "checkpoint" not in name}
    run = arguments["resume"]
    if run and "savepoint_path" not in flags:
        added["savepoint_path"] = _newest_state(arguments.home, run)
    return added


def _is_here(flags: Mapping[str, Any]) -> bool:
    """Whether all of Flink is on this machine, by its addresses."""
    master = str(flags.get("flink_master") or "[auto]").strip()
    endpoint = flags.get("job_endpoint")
    return (master in EMBEDDED or is_this_machine(master)) and (endpoint is None or is_this_machine(endpoint))


def _of_run(arguments: Arguments, what: str) -> int:
    """The number of lanes or shards of the run to resume, or the requested one."""
    run = arguments["resume"]
    if run:
        try:
            return int(getattr(load_run(open_blobs(arguments.home.journal), run), what))
        except (TandemError, ValueError):
            return 1  # the pipeline reports the error
    return int(arguments[what] or 1)


def _is_number(text: Any) -> bool:
    return isinstance(text, str) and text.lstrip("-").isdigit()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _replaced(arguments: Arguments) -> set[str]:
    """Names of the jobs that a live run ends before its own begins: those of its home's runs."""
    if arguments["follow"]:
        return set()
    try:
        return {job_name(run.id) for run in list_runs(open_blobs(arguments.home.journal)).values()}
    except (TandemError, OSError, ValueError):
        return set()  # the pipeline reports the error


def _slots(flags: Mapping[str, Any], wanted: int, replaced: Collection[str] = ()) -> dict[str, str]:
    """The useful parallelism, limited to the slots that Flink has once the jobs of the names `replaced` have given
    theirs back; no flag where these are unknown.
    """
    from tandem.runners.flink.jobs import slots_held
    from tandem.runners.flink.rest import FlinkRest

    master = str(flags.get("flink_master") or "")
    if not master or master in EMBEDDED:
        return {} if flags.get("job_endpoint") else {"parallelism": str(wanted)}
    try:
        rest = FlinkRest(master, timeout=5)
        free = int(rest.overview()["slots-available"])
    except LaunchError:
        return {}
    if free < wanted and replaced:
        free += slots_held(rest, replaced)
    return {"parallelism": str(max(1, min(wanted, free)))}


def _newest_state(home: Home, run: str) -> str:
    """The newest whole savepoint or checkpoint in the run's folder."""
    folder = state_folder(home, run)
    if folder is None:
        raise LaunchError(f"--resume {run}: its journal is no folder of this machine; --savepoint_path names its state")
    newest = newest_state(folder)
    if newest is None:
        raise LaunchError(
            f"--resume {run}: there is no savepoint or checkpoint in {folder}",
            "pass --savepoint_path=PATH, or leave --resume out: a new run replays the journal",
        )
    return newest
