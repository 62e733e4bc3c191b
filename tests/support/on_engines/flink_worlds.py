"""A live pipeline on a Flink whose processes are killed or paused, while orders come and answers are read."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from processes.bench import Bench
from processes.stages import Poller, Stage, Tandem, wait_for
from samples import orders

from on_engines.engines import ENGINES
from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.processes import Started
from tandem.schemas.errors import TandemError

__all__ = ["EXTERNAL", "FlinkWorld", "flink_world"]

_SOURCE_STATE = re.compile(rb"sdf_checkpoint:\w*:\d+")
EXTERNAL = next(engine for engine in ENGINES if engine.name == "standalone")


@dataclass
class FlinkWorld:
    """None of its orders is late, so live alone gives every answer."""

    bench: Bench
    cluster: Cluster
    definition: Path
    poller: Poller
    live: Tandem | None = None
    recoveries: dict[str, float] = field(default_factory=dict)
    """Seconds from each fault to an answer that holds what was published after it."""
    _number: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(20))

    @property
    def stage(self) -> Stage:
        """Its topic, its home."""
        return self.bench.stage

    def up(self, *flags: str, lanes: int = 2, parallelism: int = 2) -> Tandem:
        """Live, started; flags that come later win."""
        self.live = self.bench.live(self.definition, lanes=lanes, flags=(f"--parallelism={parallelism}", *flags))
        return self.live

    def publish(self, number: int = 300) -> None:
        """So many new orders, disordered, with copies of some of them and of some old ones."""
        fresh = orders.disordered(orders.in_order(number, first=self._number), self._chance)
        if self.bench.published:
            fresh += self._chance.choices(self.bench.published, k=number // 20)
        self._number += number
        self.bench.publish(fresh)

    def caught_up(self) -> None:
        """Wait until the answers hold all that was published, and nothing is unbalanced."""
        live, view = self.live, self.bench.view(self.definition)
        assert live is not None
        self.bench.until_counted(self.definition, live)
        wait_for("no residue", lambda: not view.unbalanced() or live.has_ended())
        assert not live.has_ended(), live.said()

    def begin(self) -> None:
        """Live runs, has answered for some, and has a checkpoint; more orders are on their way."""
        self.up()
        self.publish()
        self.caught_up()
        before = self.checkpoints()
        self.publish()
        wait_for("a checkpoint", lambda: self.checkpoints() > before)

    @contextlib.contextmanager
    def fault(self, what: str) -> Iterator[None]:
        """What happens in here is the fault. Then answers become fresh again, and stay right."""
        self.publish(1000)
        time.sleep(self._chance.random())
        begun = time.monotonic()
        yield
        self.publish()
        self.caught_up()
        self.recoveries[what] = time.monotonic() - begun
        self.check()

    def check(self) -> None:
        """Lost 0, counted twice 0; no number of events has ever fallen."""
        self.bench.check(self.definition)
        self.bench.check_states(self.definition)
        assert self.poller.error is None, self.poller.error
        assert not self.poller.falls

    def end(self) -> None:
        """SIGTERM; what it had read is answered, and batch alone answers for all of it."""
        assert self.live is not None
        self.live.process.terminate()
        self.bench.well(self.live)
        self.check()
        self.poller.stop()
        self.publish_batch()
        self.bench.check_batch_alone(self.definition)

    def publish_batch(self) -> None:
        """While the run goes on: no tile of a worker that is gone holds it up."""
        # on this machine: backfills on Flink are the conformance suite's
        self.bench.backfill(self.definition, flags=())
        self.bench.check(self.definition)

    def repair(self) -> None:
        """Start what is dead, as a cluster's supervisor does."""
        Cluster.start(self.cluster.home)

    def checkpoints(self) -> int:
        """That were completed by the newest job."""
        jobs = self.cluster.rest.jobs()
        return int(self.cluster.rest.checkpoints(jobs[0].id)["counts"]["completed"]) if jobs else 0

    def source_states(self) -> set[bytes]:
        """Names under which the newest checkpoint has what sources left at the end of a bundle."""
        while True:
            latest = self.cluster.rest.checkpoints(self.job)["latest"]["completed"]
            with contextlib.suppress(FileNotFoundError):  # a newer one has taken its place
                files = Path(latest["external_path"].removeprefix("file:")).iterdir()
                return {name for path in files for name in _SOURCE_STATE.findall(path.read_bytes())}

    @property
    def run(self) -> str:
        """That is served."""
        served = self.bench.view(self.definition).served
        assert served is not None
        assert served.live_run is not None
        return served.live_run

    @property
    def job(self) -> str:
        """Id of the running job."""
        return self.cluster.rest.job(f"tandem-{self.run}").id

    def job_or_none(self) -> str | None:
        """The same; None while none runs, or two do."""
        with contextlib.suppress(TandemError):
            return self.job
        return None

    def workers(self) -> list[Started]:
        """Processes of the pool that read this run's lanes: those that have used most time."""
        return sorted(self.cluster.workers(), key=lambda worker: _ticks(worker.pid), reverse=True)

    def pause(self, process: Started) -> None:
        """SIGSTOP, but not within a transaction: SQLite's lock would be held for as long as it sleeps."""

        def asleep() -> bool:
            os.kill(process.pid, signal.SIGSTOP)
            if self.stage.store_is_free():
                return True
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.1)
            return False

        wait_for("the store is free", asleep)


def _ticks(pid: int) -> int:
    """Processor time of a process; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


@contextlib.contextmanager
def flink_world(stage: Stage, cluster: Cluster) -> Iterator[FlinkWorld]:
    """A world; at its end no job of it runs, and the cluster is whole again."""
    bench = Bench(stage, EXTERNAL, cluster)
    definition = orders.definition(stage.folder)
    poller = Poller(bench.view(definition))
    poller.start()
    try:
        yield FlinkWorld(bench, cluster, definition, poller)
    finally:
        poller.abandon()
        for tandem in stage.running:
            tandem.kill()
        Cluster.start(cluster.home)
        for job in cluster.rest.jobs():
            if job.state in ("RUNNING", "RESTARTING", "CREATED", "FAILING"):
                cluster.rest.cancel(job.id)
