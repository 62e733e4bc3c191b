"""Flink's jobs for operators: their states, their slots, and the machines of these."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tandem.runners.flink.rest import RUNNING, FlinkRest, Job
from tandem.schemas.errors import TandemError

__all__ = ["JobView", "Slots", "run_of", "slots_held", "slots_of", "to_end", "to_spread", "view_of"]

_KINDS: Final = {"BATCH": "bounded", "STREAMING": "unbounded"}
_NAMED: Final = "tandem-"


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a cluster."""

    address: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job, with its known properties; None for unknown ones."""

    job: Job
    kind: str | None = None
    """'bounded' or 'unbounded'."""
    parallelism: int | None = None
    """Parallelism of its widest step, the number of slots that it needs."""
    checkpoint: str | None = None
    """Path of the newest complete one, or else of the one that it was restored from."""
    works: bool = False
    """Whether all of its tasks run, or have ended."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Its slots by TaskManager."""
    room: Mapping[str, int] = field(default_factory=dict)
    """Slots that it has or could have, by TaskManager."""
    slots: Slots | None = None

    @property
    def runs(self) -> bool:
        """Whether the job hasn't ended."""
        return self.job.state in RUNNING

    @property
    def waits(self) -> str | None:
        """The missing slots, with both numbers, when there are too few for it; None when there are enough."""
        if not self.runs or self.works or self.slots is None or self.parallelism is None:
            return None
        if sum(self.held.values()) + self.slots.free >= self.parallelism:
            return None
        own = sum(self.held.values())
        has = f"it needs {self.parallelism}, and Flink at {self.slots.address} has {self.slots.total}"
        return f"waits for slots: {has}, {self.slots.free} of them free{f' and {own} held by it' if own else ''}"

    @property
    def crowded(self) -> str | None:
        """The machines that it is confined to, when others could run a part of it; None when it is spread, or doesn't
        run.
        """
        if not (self.runs and self.works and self.kind == "unbounded" and self.parallelism):
            return None
        could = min(self.parallelism, sum(1 for slots in self.room.values() if slots))
        if not self.held or len(self.held) >= could:
            return None
        return f"is on {len(self.held)} of {len(self.room)} TaskManagers, and could be on {could}"


def run_of(job: Job) -> str | None:
    """The live run of a job; None for other jobs."""
    return job.name.removeprefix(_NAMED) if job.name.startswith(_NAMED) else None


def to_end(name: str, address: str) -> str:
    """The command that ends a job of this name."""
    return f"tandem flink stop-job {shlex.quote(name.removeprefix(_NAMED))} --flink-master {address}"


def to_spread(view: JobView, address: str) -> str:
    """The commands by which a job is restarted with slots on all machines."""
    stop = to_end(view.job.name, address)
    return f"`{stop}`, then `tandem live ... --resume {run_of(view.job) or 'RUN'}` spreads it again"


def slots_of(rest: FlinkRest) -> Slots:
    """All slots, and the free ones. Raises LaunchError, TandemError; KeyError, ValueError for a server that isn't a
    Flink.
    """
    overview = rest.overview()
    return Slots(rest.address, int(overview["slots-total"]), int(overview["slots-available"]))


def slots_held(rest: FlinkRest, names: Collection[str]) -> int:
    """Slots of jobs with these names that haven't ended; 0 without an answer."""
    try:
        jobs = [job for job in rest.jobs() if job.name in names and job.state in RUNNING]
    except (TandemError, KeyError, TypeError, ValueError):
        return 0
    return sum(sum(_places(rest, job)[0].values()) for job in jobs)


def view_of(rest: FlinkRest, job: Job) -> JobView:
    """The JobManager's data about a job; missing ones of one kind don't hide others."""
    details = _asked(rest, f"/jobs/{job.id}")
    steps = details.get("vertices") or []
    tasks = [state for step in steps for state, number in (step.get("tasks") or {}).items() if number]
    held, room = _places(rest, job) if job.state in RUNNING else ({}, {})
    return JobView(
        job,
        kind=_KINDS.get((details.get("plan") or {}).get("type") or ""),
        parallelism=max((int(step["parallelism"]) for step in steps), default=None),
        checkpoint=_newest(rest, job),
        works=bool(tasks) and set(tasks) <= {"RUNNING", "FINISHED"},
        held=held,
        room=room,
        slots=_slots(rest),
    )


def _asked(rest: FlinkRest, path: str) -> Mapping[str, Any]:
    try:
        return dict(rest.get(path))
    except (TandemError, TypeError, ValueError):
        return {}


def _newest(rest: FlinkRest, job: Job) -> str | None:
    """The newest checkpoint; Flink answers this with an error for a job without checkpoints, as bounded ones are."""
    try:
        latest = rest.checkpoints(job.id).get("latest") or {}
    except TandemError:
        return None
    paths = ((latest.get(which) or {}).get("external_path") for which in ("completed", "restored"))
    return next((str(path) for path in paths if path and not path.startswith("<")), None)


def _slots(rest: FlinkRest) -> Slots | None:
    try:
        return slots_of(rest)
    except (TandemError, KeyError, TypeError, ValueError):
        return None


def _places(rest: FlinkRest, job: Job) -> tuple[dict[str, int], dict[str, int]]:
    held, room = dict[str, int](), dict[str, int]()
    for one in _asked(rest, "/taskmanagers").get("taskmanagers", ()):
        slots = _asked(rest, f"/taskmanagers/{one['id']}").get("allocatedSlots") or ()
        own = sum(1 for slot in slots if slot.get("jobId") == job.id)
        room[one["id"]] = own + int(one.get("freeSlots", 0))
        if own:
            held[one["id"]] = own
    return held, room
