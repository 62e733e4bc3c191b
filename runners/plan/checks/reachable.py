"""Checks that a launch opens no port to other hosts: Beam's own Prism does, on machines that other hosts can reach."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from apache_beam.options.pipeline_options import PrismRunnerOptions

from tandem.runners.local.interfaces import other_interfaces
from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import Engine, Launch

__all__ = ["check_prism"]


def check_prism(launch: Launch) -> Iterator[Finding]:
    """A Prism that is needed and missing, or that would listen on all interfaces."""
    if launch.engine is not Engine.PRISM:
        return
    from tandem.runners.local.prism_binary import cached_binary, is_bound

    location = launch.options.view_as(PrismRunnerOptions).prism_location
    if location and "://" not in location:
        if not os.path.exists(location):
            what, remedy = f"there is no Prism at {location}", "name its binary or zip file"
            yield Finding(Level.ERROR, "prism", what, "--prism_location", remedy)
        elif not is_bound(Path(location)):
            yield from _open(f"the Prism at {location}")
    elif location:
        yield from _open(f"the Prism of {location}")
    elif cached_binary() is None:
        yield from _unbound()


def _unbound() -> Iterator[Finding]:
    """The finding where only Beam's Prism is here, or none."""
    from tandem.runners.local.prism_binary import downloaded_binary

    if downloaded_binary() is not None:
        yield from _open("the Prism that was downloaded")
        return
    what = "Prism, which runs this job, isn't on this machine: Beam will try to download it"
    yield Finding(Level.WARNING, "prism", what, "--prism_location", f"{_build()}, or pass --prism_location=PATH")
    yield from _open("the Prism that Beam downloads")


def _open(which: str) -> Iterator[Finding]:
    others = other_interfaces()
    if not others:
        return
    yield Finding(
        Level.ERROR,
        "open-port",
        f"{which} listens on all interfaces ({', '.join(others)}), and runs what anyone sends it",
        "--prism_location",
        f"{_build()} and leave --prism_location out, or --accept open-port behind a firewall",
    )


def _build() -> str:
    builds = "`make setup` or `python -m tandem.runners.local.prism` builds it with Go"
    return builds if shutil.which("go") else "install Go 1.25 or later and run `python -m tandem.runners.local.prism`"
