"""Patches Beam's servers in Java so that they bind to the address that they were made for.

Beam 2.62's ServerFactory makes an address of the loopback interface, and then passes only its port to gRPC: the job
server's ports, and those that TaskManagers open for workers, are open on all interfaces, without credentials. Here
`NettyServerBuilder.forPort(address.getPort())` becomes `NettyServerBuilder.forAddress(address)`, in the class file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tandem.runners.beam_patches.known import Patch
from tandem.schemas.errors import LaunchError

__all__ = ["CLASS", "PATCH", "patched"]

PATCH: Final = Patch(
    else_would="listen on all interfaces in Java",
    issue="none that is known",
    tried=("2.62.0",),
    goes_when="ServerFactory passes the address on",
)

CLASS: Final = "org/apache/beam/sdk/fn/server/ServerFactory$InetSocketAddressServerFactory.class"

_UTF8, _LONG, _DOUBLE, _CLASS, _METHOD, _NAMED = 1, 5, 6, 7, 10, 12
_SIZES: Final = {
    **dict.fromkeys((7, 8, 16, 19, 20), 2),
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4),
    **dict.fromkeys((5, 6), 8),
    15: 3,
}
"""Bytes of an entry of the constant pool, by its tag; a text's entry holds its own length."""
_COUNT: Final = 8
"""Offset of the number of constants in a class file."""
_PORT: Final = ("java/net/InetSocketAddress", "getPort")
_NO_OPERATION: Final = b"\x00"
_LOAD_ARGUMENT, _CALL, _CALL_STATIC = b"\x2b", b"\xb6", b"\xb8"


@dataclass(frozen=True, slots=True)
class _Pool:
    """The constants of a class file."""

    entries: dict[int, tuple[int, bytes]]
    count: int
    end: int

    def text(self, index: int) -> str:
        return self.entries[index][1].decode("utf-8", errors="replace")

    def methods(self) -> Iterator[tuple[int, int, str, str, str]]:
        """(index, index of the class, class, name, descriptor)."""
        for index, (tag, body) in self.entries.items():
            if tag == _METHOD:
                owner, named = struct.unpack(">HH", body)
                name, kind = struct.unpack(">HH", self.entries[named][1])
                (of,) = struct.unpack(">H", self.entries[owner][1])
                yield index, owner, self.text(of), self.text(name), self.text(kind)


def _pool(data: bytes) -> _Pool:
    (count,) = struct.unpack_from(">H", data, _COUNT)
    entries, at, index = dict[int, tuple[int, bytes]](), _COUNT + 2, 1
    while index < count:
        tag = data[at]
        if tag == _UTF8:
            (length,) = struct.unpack_from(">H", data, at + 1)
            entries[index], at = (tag, data[at + 3 : at + 3 + length]), at + 3 + length
        else:
            entries[index], at = (tag, data[at + 1 : at + 1 + _SIZES[tag]]), at + 1 + _SIZES[tag]
        index += 2 if tag in (_LONG, _DOUBLE) else 1
    return _Pool(entries, count, at)


def patched(original: bytes) -> bytes:
    """The patched class file. Raises LaunchError where it isn't the known one."""
    pool = _pool(original)
    made = [(index, owner, kind) for index, owner, of, name, kind in pool.methods() if _builds(of, name)]
    asked = [index for index, _, of, name, _ in pool.methods() if (of, name) == _PORT]
    if len(made) != 1 or len(asked) != 1:
        raise LaunchError(f"{CLASS} isn't the class that is known: it makes its server otherwise")
    index, owner, kind = made[0]
    before = _LOAD_ARGUMENT + _CALL + struct.pack(">H", asked[0]) + _CALL_STATIC + struct.pack(">H", index)
    if (times := original.count(before)) != 1:
        raise LaunchError(f"{CLASS} isn't the class that is known: it makes its server in {times} places")
    first = pool.count
    after = _LOAD_ARGUMENT + _NO_OPERATION * 3 + _CALL_STATIC + struct.pack(">H", first + 3)
    added = _text("forAddress") + _text(kind.replace("(I)", "(Ljava/net/SocketAddress;)"))
    added += struct.pack(">BHH", _NAMED, first, first + 1) + struct.pack(">BHH", _METHOD, owner, first + 2)
    head = original[:_COUNT] + struct.pack(">H", first + 4) + original[_COUNT + 2 : pool.end]
    return head + added + original[pool.end :].replace(before, after)


def _builds(of: str, name: str) -> bool:
    return of.endswith("/io/grpc/netty/NettyServerBuilder") and name == "forPort"


def _text(text: str) -> bytes:
    return struct.pack(">BH", _UTF8, len(text)) + text.encode("ascii")
