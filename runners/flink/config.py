"""The start of each process of a local Flink: its files, its memory, its command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tandem.runners.flink.jars import Jars, java

__all__ = ["JOB_MANAGER", "JOB_SERVER", "WORKER_POOL", "Settings", "command", "write_configuration"]

JOB_MANAGER: Final = "job-manager"
JOB_SERVER: Final = "job-server"
WORKER_POOL: Final = "worker-pool"

_MIB: Final = 1 << 20
_OPENED: Final = (
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
)
"""Packages of Java 11 and later that Flink accesses by reflection."""
_LOGGING: Final = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
logger.akka.name = akka
logger.akka.level = WARN
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a cluster on this machine. Memory in MiB; ports are TCP ports of 127.0.0.1."""

    rest_port: int
    rpc_port: int
    job_port: int
    artifact_port: int
    pool_port: int
    task_managers: int = 2
    slots: int = 2
    """For each TaskManager: the number of parallel instances of a pipeline that it can hold."""
    heap: int = 1024
    """For the JobManager and for each TaskManager."""
    managed: int = 128
    """For each TaskManager, for sorting in bounded pipelines."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the processes, in the order in which they are started."""
        workers = (f"task-manager-{number}" for number in range(1, self.task_managers + 1))
        return (JOB_MANAGER, *workers, WORKER_POOL, JOB_SERVER)

    def port_of(self, part: str) -> int | None:
        """The port of a part; None for a TaskManager, which picks its own."""
        return {JOB_MANAGER: self.rest_port, JOB_SERVER: self.job_port, WORKER_POOL: self.pool_port}.get(part)

    def as_json(self) -> dict[str, Any]:
        """As plain data, for `Settings(**value)`."""
        return asdict(self)


def write_configuration(home: Path, settings: Settings) -> None:
    """Write Flink's config.yaml and logging below `home`/conf."""
    folder = home / "conf"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoints", "savepoints", "artifacts", "tmp", "logs"):
        (home / name).mkdir(exist_ok=True)
    lines = [f"{key}: {value}" for key, value in _configuration(home, settings).items()]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "log4j.properties").write_text(_LOGGING, encoding="utf-8")


def _configuration(home: Path, settings: Settings) -> Mapping[str, object]:
    return {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": settings.rpc_port,
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": settings.rest_port,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": settings.slots,
        "parallelism.default": 1,
        "io.tmp.dirs": home / "tmp",
        "state.checkpoints.dir": (home / "checkpoints").as_uri(),
        "state.savepoints.dir": (home / "savepoints").as_uri(),
        "state.checkpoints.num-retained": 3,
        # For --state_backend=rocksdb: a checkpoint holds only changes since the one before.
        "state.backend.incremental": "true",
        # A lost process is detected after 10 s instead of 50 s, and so is a suspended one.
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 10000,
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "cluster.evenly-spread-out-slots": "true",
        # Beam's classes are on the class path of the processes: loaded once, not again for each job.
        "classloader.resolve-order": "parent-first",
        "classloader.check-leaked-classloader": "false",
    }


def command(part: str, home: Path, settings: Settings, jars: Jars, identity: str) -> list[str]:
    """The command line of a part; a TaskManager registers as `identity`."""
    if part == WORKER_POOL:
        return [sys.executable, "-m", "tandem.runners.flink.worker_pool", "--port", str(settings.pool_port)]
    if part == JOB_SERVER:
        return [*_java(home, 256), "-jar", str(jars.job_server), *_job_server(home, settings)]
    options = ["--configDir", str(home / "conf")]
    if part == JOB_MANAGER:
        entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        return [*_java(home, settings.heap), "-cp", jars.class_path, entry, *options, "--executionMode", "cluster"]
    memory = [word for key, value in _memory(settings).items() for word in ("-D", f"{key}={value}")]
    entry = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    named = f"taskmanager.resource-id={identity}"
    direct = f"-XX:MaxDirectMemorySize={_DIRECT + settings.slots * 64}m"
    return [*_java(home, settings.heap), direct, "-cp", jars.class_path, entry, *options, "-D", named, *memory]


_DIRECT: Final = 256


def _java(home: Path, heap: int) -> list[str]:
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED]
    sizes = [f"-Xmx{heap}m", f"-Xms{min(heap, 128)}m", "-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC"]
    logging = f"-Dlog4j.configurationFile={(home / 'conf' / 'log4j.properties').as_uri()}"
    return [java(), *sizes, *opened, logging, f"-Djava.io.tmpdir={home / 'tmp'}"]


def _memory(settings: Settings) -> Mapping[str, object]:
    """The memory settings that Flink's own scripts would compute; without them a TaskManager doesn't start."""
    network = f"{settings.slots * 64 * _MIB}b"
    return {
        "taskmanager.cpu.cores": float(settings.slots),
        "taskmanager.memory.framework.heap.size": f"{128 * _MIB}b",
        "taskmanager.memory.task.heap.size": f"{(settings.heap - 128) * _MIB}b",
        "taskmanager.memory.framework.off-heap.size": f"{128 * _MIB}b",
        "taskmanager.memory.task.off-heap.size": f"{128 * _MIB}b",
        "taskmanager.memory.network.min": network,
        "taskmanager.memory.network.max": network,
        "taskmanager.memory.managed.size": f"{settings.managed * _MIB}b",
        "taskmanager.memory.jvm-metaspace.size": f"{256 * _MIB}b",
        "taskmanager.memory.jvm-overhead.min": f"{128 * _MIB}b",
        "taskmanager.memory.jvm-overhead.max": f"{128 * _MIB}b",
    }


def _job_server(home: Path, settings: Settings) -> list[str]:
    return [
        *("--flink-master", f"127.0.0.1:{settings.rest_port}"),
        *("--flink-conf-dir", str(home / "conf")),
        *("--job-host", "127.0.0.1"),
        *("--job-port", str(settings.job_port)),
        *("--artifact-port", str(settings.artifact_port)),
        *("--expansion-port", "0"),
        *("--artifacts-dir", str(home / "artifacts")),
    ]
