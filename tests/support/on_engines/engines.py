"""What pipelines can run on, as flags of `tandem live` and `tandem backfill`."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.jars import FLINK_LINE, FLINK_VERSION, JOB_SERVER_VERSION, provide

__all__ = ["ENGINES", "FNAPI", "PRISM", "VARIANTS", "Engine"]

_SOON = "--checkpointing_interval=2000"
"""Milliseconds; tests wait for what a checkpoint releases."""


@dataclass(frozen=True)
class Engine:
    """One way to run pipelines."""

    name: str
    title: str
    """In the table."""
    flags: Callable[[Cluster | None], tuple[str, ...]]
    """Of live pipelines and backfills."""
    live_flags: tuple[str, ...] | None = ()
    """More flags of live pipelines; None: it can't run them."""
    cluster: bool = False
    """It needs one that runs."""
    jars: bool = False
    """It needs those of Flink."""
    only: tuple[str, ...] = ()
    """Scenarios; none: all of them."""
    lanes: int | None = None
    """Of scenarios that leave it open."""

    @property
    def group(self) -> str:
        """Its tests run one after the other."""
        return "flink" if self.cluster else "processes"

    def of_live(self, cluster: Cluster | None) -> tuple[str, ...]:
        """All flags of a live pipeline."""
        assert self.live_flags is not None, f"{self.name} runs no live pipelines"
        return (*self.flags(cluster), *self.live_flags)

    def of_backfill(self, cluster: Cluster | None) -> tuple[str, ...]:
        """All flags of a backfill."""
        return self.flags(cluster)

    @property
    def version(self) -> str:
        """In the table."""
        beam = f"Beam {version('apache-beam')}, Python {platform.python_version()}"
        return f"{beam}, Flink {FLINK_VERSION}, job server {JOB_SERVER_VERSION}" if self.jars else beam


def _embedded(cluster: Cluster | None) -> tuple[str, ...]:
    jar = provide().job_server
    return (
        "--runner=FlinkRunner",
        "--flink_master=[local]",
        f"--flink_version={FLINK_LINE}",
        f"--flink_job_server_jar={jar}",
        "--environment_type=LOOPBACK",
        "--parallelism=2",
    )


def _standalone(environment: str, parallelism: int) -> Callable[[Cluster | None], tuple[str, ...]]:
    def flags(cluster: Cluster | None) -> tuple[str, ...]:
        assert cluster is not None
        return (*cluster.flags(environment), f"--parallelism={parallelism}")

    return flags


FNAPI = Engine(
    "fnapi",
    "FnApiRunner",
    lambda _: ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",),
    live_flags=None,
)
PRISM = Engine("prism", "DirectRunner/Prism", lambda _: ("--runner=tandem.runners.local.tied_prism.TiedPrismRunner",))
ENGINES: tuple[Engine, ...] = (
    FNAPI,
    PRISM,
    Engine("embedded", "Flink embedded", _embedded, (_SOON,), jars=True),
    Engine("standalone", "Flink standalone", _standalone("EXTERNAL", 2), (_SOON,), cluster=True, jars=True),
)
"""The table's columns."""


def _variant(name: str, environment: str, parallelism: int) -> Engine:
    title = f"Flink standalone, {environment}, parallelism {parallelism}"
    flags = _standalone(environment, parallelism)
    return Engine(name, title, flags, (_SOON,), cluster=True, jars=True, only=("fixed tiles", "restart"), lanes=4)


VARIANTS: tuple[Engine, ...] = (
    _variant("parallelism-1", "EXTERNAL", 1),
    _variant("parallelism-4", "EXTERNAL", 4),
    _variant("loopback", "LOOPBACK", 2),
)
"""Other settings, with four lanes."""
