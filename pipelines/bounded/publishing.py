"""The end of a backfill: publishes its batch run, unless too much of its input is bad."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, retry_if_not_exception_type, stop_after_delay, wait_fixed

from tandem.formats.dead_letters.reasons import reasons
from tandem.pipelines.bounded.plan import BackfillConfig, Plan
from tandem.pipelines.bounded.progress import shown_time
from tandem.pipelines.bounded.taken_in import Taken, note_taken
from tandem.runners.submission.interrupts import held_back
from tandem.schemas.errors import (
    BatchOutdatedError,
    MissingFilesError,
    PublishRefusedError,
    TooManyBadError,
    UnreadMessagesError,
)
from tandem.schemas.privacy.printable import printable
from tandem.views.rows import Publication
from tandem.views.store import ViewStore

__all__ = ["Job", "judge_bad", "noted", "published"]


@dataclass(frozen=True, slots=True)
class Job:
    """One definition's backfill, with its plan."""

    config: BackfillConfig
    plan: Plan

    @property
    def reads(self) -> tuple[object, ...]:
        """Jobs for which this is equal share one reading and decoding."""
        source = self.config.definition.source
        return source.version, tuple(sorted(source.revisions)), self.plan.reads


def judge_bad(job: Job, store: ViewStore, console: Console) -> TooManyBadError | None:
    """The reason for not publishing the batch run: too much of its input is bad. Then discards the run, with its
    letters.

    Messages of the journal that a live run of this version has read are served as they are, good or bad: then only
    files are judged.
    """
    name, limit = job.config.definition.name, job.config.max_bad
    counts = [
        c for c in store.batch.manifest(job.plan.batch_run).counts if c.generation < 0 or job.plan.live_run is None
    ]
    bad, read = sum(c.dead for c in counts), sum(c.received for c in counts)
    if limit.allows(bad, read):
        return None
    version, run = job.config.definition.version, job.plan.batch_run
    with shown_time(console, f"{name}: looking at why {bad:,} records are bad"):
        found = reasons(version, job.config.home.dead_letters, store.dead_letters.found_by(version, run))
        store.batch.discard(run)
    for reason in found:
        console.print(printable(f"{name}: {reason}"), markup=False)
    return TooManyBadError(
        f"{name}: {bad:,} of {read:,} records are bad, more than --max-bad {limit.text}: nothing is published, and "
        "what was read counts as unread; correct it, or take it in with a higher --max-bad"
    )


def noted(job: Job) -> None:
    """Record the inputs of the batch run, in case the view store is lost."""
    config = job.config
    taken = Taken(
        config.definition.name,
        config.definition.version,
        job.plan.batch_run,
        config.definition_text,
        tuple((ref.path, ref.size, ref.digest) for ref in job.plan.files),
        config.complete_until,
        job.plan.arrival_time,
    )
    note_taken(config.home, taken)


def published(job: Job, store: ViewStore, console: Console, builds_left: int, served: list[str]) -> bool:
    """Publish, and add the name to `served`; False when live ran on meanwhile, so that the run must be built again."""
    try:
        published = _publish(job.config, store, job.plan, served)
    except BatchOutdatedError as outdated:
        if not builds_left:
            raise
        console.print(printable(f"{outdated}: doing so"), markup=False)
        return False
    console.print(f"{job.config.definition.name}: published, boundary {published.boundary}")
    return True


def _publish(config: BackfillConfig, store: ViewStore, work: Plan, names: list[str]) -> Publication:
    """Publish with the live run that is served by then, after it has written the events that are in flight.

    The store refuses a live run that the batch run can't be served with, whichever run it was built for. Raises
    BatchOutdatedError or MissingFilesError at once, where waiting is useless.
    """
    final = retry_if_not_exception_type((BatchOutdatedError, MissingFilesError, UnreadMessagesError))
    refused = retry_if_exception_type(PublishRefusedError) & final
    retrying = Retrying(
        retry=refused,
        wait=wait_fixed(0.5),
        stop=stop_after_delay(config.publish_wait / 1e6),
        reraise=True,
    )
    name, version = config.definition.name, config.definition.version

    def attempt() -> Publication:
        served = store.publishing.served(name)
        live_run = served.live_run if served is not None and served.version == version else work.live_run
        with held_back():
            done = store.publishing.publish(
                name,
                version,
                work.batch_run,
                live_run,
                accept_missing_files=config.accept_missing_files,
                accept_dead_letters=config.accept_dead_letters,
            )
            names.append(name)
        return done

    return retrying(attempt)
