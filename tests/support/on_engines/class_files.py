"""Class files of Java made by hand, since no compiler is at hand."""

from __future__ import annotations

import struct

BUILDER = "org/apache/beam/vendor/grpc/v1p60p1/io/grpc/netty/NettyServerBuilder"
LONG = struct.pack(">BQ", 5, 20)


def text(value: str) -> bytes:
    return struct.pack(">BH", 1, len(value)) + value.encode()


def class_file(builds: str = "forPort", asks: str = "getPort", times: int = 1) -> bytes:
    """The head of a class file, and the code of its method."""
    constants = [
        *(text(BUILDER), struct.pack(">BH", 7, 1), text(builds), text(f"(I)L{BUILDER};")),  # 1 to 4
        *(struct.pack(">BHH", 12, 3, 4), struct.pack(">BHH", 10, 2, 5)),  # 5, 6
        LONG,  # 7 and 8
        *(text("java/net/InetSocketAddress"), struct.pack(">BH", 7, 9), text(asks), text("()I")),  # 9 to 12
        *(struct.pack(">BHH", 12, 11, 12), struct.pack(">BHH", 10, 10, 13)),  # 13, 14
    ]
    code = bytes.fromhex("2b b6 000e b8 0006") * times
    return bytes.fromhex("cafebabe00000034") + struct.pack(">H", 15) + b"".join(constants) + b"<" + code + b">"
