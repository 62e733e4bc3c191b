"""Whether a launch would open a port to other hosts: Beam's own Prism does, on machines that other hosts can reach."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from apache_beam.options.pipeline_options import PrismRunnerOptions

from tandem.runners.plan_findings import Finding, Level
from tandem.runners.plan_launch import Engine, Launch

__all__ = ["check_prism", "other_interfaces"]

_GET_FLAGS: Final = 0x8913
_UP: Final = 1
_LOOPBACK: Final = 8


def check_prism(launch: Launch) -> Iterator[Finding]:
    """Prism, where it is needed and isn't there, or would listen on all interfaces."""
    if launch.engine is not Engine.PRISM:
        return
    from tandem.pipelines.prism_binary import cached_binary, is_bound

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
    """Only Beam's Prism is here, or none."""
    from tandem.pipelines.prism_binary import downloaded_binary

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
    builds = "`make setup` or `python -m tandem.runners.prism` builds it with Go"
    return builds if shutil.which("go") else "install Go 1.25 or later and run `python -m tandem.runners.prism`"


def other_interfaces() -> tuple[str, ...]:
    """Names of the network interfaces by which other hosts may reach this one; elsewhere than on Linux all but lo."""
    names = [name for _, name in socket.if_nameindex()]
    if sys.platform != "linux":
        return tuple(name for name in names if not name.startswith("lo"))
    return tuple(name for name in names if _flags(name) & (_UP | _LOOPBACK) == _UP)


def _flags(name: str) -> int:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            asked = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh14x", name.encode()[:15], 0))
        except OSError:
            return 0
    return int(struct.unpack("16sh14x", asked)[1])
