"""The network interfaces by which other hosts may reach this one."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from typing import Final

__all__ = ["other_interfaces"]

_GET_FLAGS: Final = 0x8913
_UP: Final = 1
_LOOPBACK: Final = 8


def other_interfaces() -> tuple[str, ...]:
    """Names of the network interfaces by which other hosts may reach this one; outside of Linux all but lo."""
    names = [name for _, name in socket.if_nameindex()]
    if sys.platform != "linux":
        return tuple(name for name in names if not name.startswith("lo"))
    return tuple(name for name in names if _flags(name) & (_UP | _LOOPBACK) == _UP)


def _flags(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            asked = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh14x", name.encode()[:15], 0))
        except OSError:
            return 0
    return int(struct.unpack("16sh14x", asked)[1])
