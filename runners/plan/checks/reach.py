"""Checks that servers listen where a job is submitted, and where its workers are to be started."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import PortableOptions

from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import Engine, Launch, is_this_machine, suggestion

__all__ = ["CHECKS", "check_endpoints", "check_environment_type", "check_pool", "listens"]

_SECONDS: Final = 2.0
_TYPES: Final = ("DOCKER", "EXTERNAL", "LOOPBACK", "PROCESS")
_PORTABLE: Final = (Engine.FLINK, Engine.SPARK, Engine.PORTABLE)


def listens(address: str) -> bool:
    """Whether a server answers at HOST:PORT, or at a URL, within two seconds."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        with socket.create_connection((parts.hostname or "localhost", parts.port or 0), timeout=_SECONDS):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def check_endpoints(launch: Launch) -> Iterator[Finding]:
    """A missing job server: Beam's client would wait for it for as long as it waits for a job."""
    portable = launch.options.view_as(PortableOptions)
    if launch.engine not in _PORTABLE or portable.job_endpoint in (None, "embed"):
        return
    named = (("--job_endpoint", portable.job_endpoint), ("--artifact_endpoint", portable.artifact_endpoint))
    for flag, address in named:
        if address and not listens(str(address)):
            yield Finding(
                Level.ERROR,
                "job-endpoint",
                f"nobody listens at {address}, and Beam would wait there without a word",
                flag,
                "start Beam's job server, correct HOST:PORT, or leave both endpoints out: with --flink_master alone"
                " Tandem starts one",
            )


def check_environment_type(launch: Launch) -> Iterator[Finding]:
    """An unknown kind of workers: Beam would reject it only after the job was submitted."""
    kind = launch.environment
    if launch.engine not in _PORTABLE or kind is None or kind in _TYPES or kind.startswith("BEAM:"):
        return
    yield Finding(
        Level.ERROR,
        "environment",
        f"{kind!r} is no kind of workers; there are {', '.join(_TYPES)}",
        "--environment_type",
        f"correct it{suggestion(kind, _TYPES).replace('--', '')}",
    )


def check_pool(launch: Launch) -> Iterator[Finding]:
    """A missing worker pool of this machine: tasks would wait for their workers without end."""
    if launch.engine not in _PORTABLE or launch.environment != "EXTERNAL" or launch.elsewhere is not None:
        return
    address = _pool(launch)
    if address is None or not is_this_machine(address) or listens(address):
        return
    yield Finding(
        Level.ERROR,
        "worker-pool",
        f"nobody listens at {address}: tasks would wait for their workers, and the job would never begin",
        "--environment_config",
        "start a pool there (python -m tandem.runners.flink.worker_pool --port PORT), or correct HOST:PORT",
    )


def _pool(launch: Launch) -> str | None:
    """HOST:PORT, or a URL; None where it is given in an unknown form."""
    portable = launch.options.view_as(PortableOptions)
    text = str(portable.environment_config or "")
    if text.startswith("{"):
        try:
            stated = json.loads(text)
        except ValueError:
            return None
        return str(stated["url"]) if isinstance(stated, dict) and stated.get("url") else None
    for option in portable.environment_options or ():
        name, _, value = str(option).partition("=")
        if name == "external_service_address":
            return value
    return text or None


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (
    check_endpoints,
    check_environment_type,
    check_pool,
)
