"""A launch as input of the checks: the graph, the options, and the places that it reads and writes."""

from __future__ import annotations

import contextlib
import difflib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)

from tandem.runners.plan.graph import Graph
from tandem.schemas.errors import UserError

__all__ = [
    "EMBEDDED",
    "Engine",
    "Launch",
    "Places",
    "engine_of",
    "flag_values",
    "is_this_machine",
    "suggestion",
    "take_value",
]


class Engine(StrEnum):
    """The engine that runs the job in the end."""

    FN_API = "the FnApiRunner"
    PRISM = "Prism"
    OLD_DIRECT = "the old bundle-based DirectRunner"
    FLINK = "Flink"
    SPARK = "Spark"
    DATAFLOW = "Dataflow"
    PORTABLE = "a portable runner"
    OTHER = "a runner that Tandem doesn't know"


_ENGINES: Final = {
    "": Engine.PRISM,
    "DirectRunner": Engine.PRISM,
    "SwitchingDirectRunner": Engine.PRISM,
    "TiedPrismRunner": Engine.PRISM,
    "PrismRunner": Engine.PRISM,
    "FnApiRunner": Engine.FN_API,
    "BundleBasedDirectRunner": Engine.OLD_DIRECT,
    "FlinkRunner": Engine.FLINK,
    "SparkRunner": Engine.SPARK,
    "DataflowRunner": Engine.DATAFLOW,
    "PortableRunner": Engine.PORTABLE,
}
EMBEDDED: Final = ("[local]", "[auto]")


def engine_of(options: PipelineOptions) -> Engine:
    """The engine by the runner's name, with or without its module."""
    name = (options.view_as(StandardOptions).runner or "").rpartition(".")[2]
    known = {name.lower(): engine for name, engine in _ENGINES.items()}
    return known.get(name.lower(), Engine.OTHER)


@dataclass(frozen=True, slots=True)
class Places:
    """The places that a job reads and writes beside its graph."""

    journal: str | None = None
    store: str | None = None
    dead_letters: str | None = None
    scratch: str | None = None
    files: tuple[str, ...] = ()
    lanes: int | None = None
    resume: str | None = None


@dataclass(frozen=True)
class Launch:
    """One launch, before it happens."""

    name: str
    """The pipeline's name: live, backfill, publish, reconcile."""
    graph: Graph
    options: PipelineOptions
    places: Places = field(default_factory=Places)

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs it."""
        return engine_of(self.options)

    @cached_property
    def flags(self) -> Mapping[str, str | None]:
        """Beam's and the runner's flags as they were given: value by name, None for a flag without a value."""
        return flag_values(getattr(self.options, "_flags", ()))

    @property
    def streaming(self) -> bool:
        """Whether the job runs without an end."""
        return bool(self.options.view_as(StandardOptions).streaming) or self.graph.unbounded()

    @property
    def environment(self) -> str | None:
        """The workers' environment: DOCKER, PROCESS, EXTERNAL, LOOPBACK; None where the runner chooses."""
        chosen = self.options.view_as(PortableOptions).environment_type
        if chosen:
            return str(chosen).upper()
        embedded = self.options.view_as(FlinkRunnerOptions).flink_master in EMBEDDED
        return "LOOPBACK" if self.engine is Engine.FLINK and embedded and not self._endpoint else None

    @property
    def _endpoint(self) -> str | None:
        endpoint = self.options.view_as(PortableOptions).job_endpoint
        return None if endpoint in (None, "embed") else str(endpoint)

    @property
    def elsewhere(self) -> str | None:
        """The other machine, or service, that runs the job; None for this machine."""
        if self.engine is Engine.DATAFLOW:
            return "Dataflow"
        if self.engine not in (Engine.FLINK, Engine.SPARK, Engine.PORTABLE):
            return None
        master = str(self.options.view_as(FlinkRunnerOptions).flink_master).strip()
        if self.engine is Engine.FLINK and master not in EMBEDDED:
            return None if is_this_machine(master) else master
        return None if self._endpoint is None or is_this_machine(self._endpoint) else self._endpoint

    @property
    def leaves_this_process(self) -> bool:
        """Whether workers are other processes than this one."""
        remote = (Engine.FLINK, Engine.SPARK, Engine.PORTABLE, Engine.DATAFLOW)
        return self.engine in remote and self.environment != "LOOPBACK"


def is_this_machine(address: str) -> bool:
    """Whether HOST:PORT, or a URL, is on this machine."""
    text = address if "//" in address else f"//{address}"
    host = (urlsplit(text).hostname or "").lower()
    known = host in ("localhost", "::1", socket.gethostname().lower()) or host.startswith("127.")
    return known or (bool(host) and _is_own_address(host))


@cache
def _is_own_address(host: str) -> bool:
    """Whether a host has an address of this machine: a socket can be bound only to such a one."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return False
    for family, kind, _, _, address in found:
        with socket.socket(family, kind) as probe, contextlib.suppress(OSError):
            probe.bind(address)
            return True
    return False


def flag_values(flags: Sequence[str]) -> dict[str, str | None]:
    """Values of --name=value, --name value and --name, by name with underscores."""
    found: dict[str, str | None] = {}
    for at, flag in enumerate(flags):
        if not flag.startswith("--") or flag == "--":
            continue
        name, given, value = flag[2:].partition("=")
        after = flags[at + 1] if at + 1 < len(flags) else "--"
        found[name.replace("-", "_")] = value if given else (None if after.startswith("--") else after)
    return found


def take_value(arguments: Sequence[str], flag: str) -> tuple[list[str], str | None]:
    """(the other arguments, the value of `--flag VALUE` or `--flag=VALUE`). Raises UserError without a value."""
    rest, found = list[str](), None
    words = iter(arguments)
    for word in words:
        name, given, value = word.partition("=")
        if name != flag:
            rest.append(word)
            continue
        found = value if given else next(words, "")
        if not found or (found.startswith("--") and not given):
            raise UserError(f"{flag} needs a value")
    return rest, found


def suggestion(name: str, known: Sequence[str]) -> str:
    """ ", did you mean --X?" or nothing."""
    close: Any = difflib.get_close_matches(name, known, 1)
    return f"; did you mean --{close[0]}?" if close else ""
