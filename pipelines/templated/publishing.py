"""The last step of a backfill without a waiting launcher: judges, records, publishes and delivers its batch run."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import apache_beam as beam
from rich.console import Console

from tandem.pipelines.bounded.publishing import Job, judge_bad, noted, published
from tandem.pipelines.delivery.beside import deliver_once
from tandem.schemas.errors import BatchOutdatedError
from tandem.views.locking.turns import turn
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["PublishBatchRun", "publish_batch_run"]

_LOGGER = logging.getLogger(__name__)


@dataclass
class PublishBatchRun(beam.PTransform):  # type: ignore[misc]
    """Publishes a batch run once its manifest is written. A repeated bundle finds it published."""

    job: Job

    def expand(self, finished: beam.PCollection[None]) -> beam.PCollection[None]:
        light = Job(self.job.config, replace(self.job.plan, segments=()))
        return finished | "Once" >> beam.Map(lambda _, job: publish_batch_run(job), light)


def publish_batch_run(job: Job) -> None:
    """Publish a finished batch run, unless checks forbid it. An error is logged, and raised only where a repetition may
    help: the next backfill reads again what wasn't taken in.
    """
    config = job.config
    store, name = open_store(config.home.store), config.definition.name
    with turn(store.database, name, _LOGGER.info):
        if _is_served(store, job):
            return
        console = Console(file=_Log(), width=1000)  # type: ignore[arg-type]
        bad = judge_bad(job, store, console)
        if bad is not None:
            _LOGGER.error("%s", bad)
            return
        noted(job)
        if not config.publish:
            _LOGGER.info("%s: batch run %s is built, and not served yet", name, job.plan.batch_run)
            return
        try:
            published(job, store, console, 0, [])
        except BatchOutdatedError as outdated:
            _LOGGER.error("%s: live went on meanwhile; the next backfill does it: %s", name, outdated)
            return
        deliver_once(store, config.definition, _LOGGER.info)


def _is_served(store: ViewStore, job: Job) -> bool:
    served = store.publishing.served(job.config.definition.name)
    return served is not None and served.batch_run == job.plan.batch_run


class _Log:
    """Logs a console's lines in a worker."""

    def write(self, text: str) -> None:
        """Log a line; line ends alone are ignored."""
        if text.strip():
            _LOGGER.info("%s", text.strip())

    def flush(self) -> None:
        """Does nothing."""
