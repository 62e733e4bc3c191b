"""Where the processes of a tree listen, as Linux tells it: TCP addresses and Unix sockets."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_LISTEN = "0A"
_ACCEPTS = 1 << 16
"""Flag of a Unix socket that listens."""


@dataclass(frozen=True, slots=True)
class Listening:
    """One socket of one process."""

    pid: int
    command: str
    where: str
    """ADDRESS:PORT, or the path of a Unix socket; empty for one without a name."""

    @property
    def closed(self) -> bool:
        """Whether no other host can reach it."""
        if self.where.startswith("/"):
            return True
        address = ip_address(self.where.rpartition(":")[0])
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_loopback

    @property
    def private(self) -> bool:
        """Whether no other user of this machine can, either: a socket in a folder that only its owner enters."""
        if not self.where.startswith("/"):
            return False
        mode = os.stat(Path(self.where).parent).st_mode
        return stat.S_IMODE(mode) == 0o700


class Looking(threading.Thread):
    """Looks all the time where the processes of some trees listen: `with Looking(pid) as looks: ...`."""

    def __init__(self, *roots: int) -> None:
        super().__init__(daemon=True)
        self._roots, self._over = roots, threading.Event()
        self.seen: set[Listening] = set()
        self.wrong: set[Listening] = set()
        """Open to other hosts."""
        self.common: set[Listening] = set()
        """Open to other users of this machine."""

    def __enter__(self) -> Looking:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.05):
            for one in set(listening(*self._roots)) - self.seen:
                with suppress(OSError):  # it has gone meanwhile
                    self._note(one)

    def _note(self, one: Listening) -> None:
        private = one.private
        self.seen.add(one)
        if not one.closed:
            self.wrong.add(one)
        if not private:
            self.common.add(one)


def tree(*roots: int) -> set[int]:
    """These processes and all that descend from them."""
    found, todo = set[int](), list(roots)
    while todo:
        pid = todo.pop()
        found.add(pid)
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (thread / "children").read_text().split())
    return found


def listening(*roots: int) -> list[Listening]:
    """All sockets at which the processes of these trees listen."""
    found = []
    by_namespace: dict[str, dict[str, str]] = {}
    for pid in tree(*roots):
        with suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/net")
            if namespace not in by_namespace:
                by_namespace[namespace] = dict(_tcp(pid)) | dict(_unix(pid))
            names = by_namespace[namespace]
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [Listening(pid, command[:100], names[inode]) for inode in _sockets(pid) if inode in names]
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            named = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
            if named:
                found.add(named[1])
    return found


def _tcp(pid: int) -> Iterator[tuple[str, str]]:
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                yield fields[9], f"{_address(address)}:{int(port, 16)}"


def _address(text: str) -> IPv4Address | IPv6Address:
    """Words of 32 bits in the order of the processor, in hexadecimal."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    return ip_address(b"".join(words))


def _unix(pid: int) -> Iterator[tuple[str, str]]:
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) & _ACCEPTS and len(fields) > 7:
            yield fields[6], fields[7]
