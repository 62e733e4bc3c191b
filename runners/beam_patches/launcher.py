"""All patches by name, and those that a launching process applies."""

from __future__ import annotations

from functools import cache
from typing import Final

from tandem.runners.beam_patches import (
    bundle_ends,
    flink_source_state,
    interrupted_job_servers,
    java_server_address,
    job_servers,
    listening,
    prism_source,
    reading_progress,
    worker_tracebacks,
)
from tandem.runners.beam_patches.known import Patch

__all__ = ["PATCHES", "patch_launcher"]

PATCHES: Final[dict[str, Patch]] = {
    "bundle_ends": bundle_ends.PATCH,
    "flink_source_state": flink_source_state.PATCH,
    "interrupted_job_servers": interrupted_job_servers.PATCH,
    "java_server_address": java_server_address.PATCH,
    "job_servers": job_servers.PATCH,
    "listening": listening.PATCH,
    "prism_source": prism_source.PATCH,
    "reading_progress": reading_progress.PATCH,
    "worker_tracebacks": worker_tracebacks.PATCH,
}
"""By the module of the patch."""


@cache
def patch_launcher() -> None:
    """Patch the parts of Beam that a launching process uses, once. Raises LaunchError where Beam differs."""
    listening.apply()
    interrupted_job_servers.apply()
    bundle_ends.apply()
    job_servers.apply()
