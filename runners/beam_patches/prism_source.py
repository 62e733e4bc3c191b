"""Patches Prism's source before it is built: the address that it binds to, and the process that ends it.

Beam 2.77's Prism takes a port, and no address: it listens on all interfaces. Only the module's own files are changed,
when it is built; each place has to be there exactly once, or the build fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tandem.runners.beam_patches.known import Patch
from tandem.runners.local.prism_binary import SOCKET
from tandem.schemas.errors import LaunchError

__all__ = ["PATCH", "bind"]

PATCH: Final = Patch(
    else_would="listen on all interfaces in Prism, too",
    issue="https://github.com/apache/beam/issues/28125",
    tried=("2.77.0",),
    goes_when="Prism has a flag for its address, a Unix socket among them",
)

_INTERNAL: Final = Path("go/pkg/beam/runners/prism/internal")
_CHANGES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "jobservices/server.go": (
        ('net.Listen("tcp", fmt.Sprintf(":%d", port))', "worker.ListenHere(port)"),
        (
            '_, port, _ := net.SplitHostPort(s.lis.Addr().String())\n\treturn fmt.Sprintf("localhost:%v", port)',
            "return worker.AddressOf(s.lis)",
        ),
    ),
    "worker/worker.go": (
        ("_, p, _ := net.SplitHostPort(lis.Addr().String())\n", "\n"),
        ('endpoint: "localhost:" + p,', "endpoint: AddressOf(lis),"),
    ),
}
_ADDED: Final = "worker/listen_here.go"
_LISTENING: Final = f"""\
package worker

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// ListenHere listens where no other host can reach it: at the socket that {SOCKET} names, or at loopback.
// Who names a socket ends this process itself: what is sent to all processes of a service is for that one to decide.
func ListenHere(port int) (net.Listener, error) {{
	if path := os.Getenv("{SOCKET}"); path != "" {{
		signal.Ignore(syscall.SIGTERM)
		return net.Listen("unix", path)
	}}
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}}

// AddressOf says where workers and clients reach what listens, in the words of gRPC.
func AddressOf(listening net.Listener) string {{
	if listening.Addr().Network() == "unix" {{
		return "unix:" + listening.Addr().String()
	}}
	return listening.Addr().String()
}}
"""


def bind(module: Path) -> None:
    """Patch a copy of the module github.com/apache/beam/sdks/v2. Raises LaunchError where it isn't the known one."""
    for name, changes in _CHANGES.items():
        path = module / _INTERNAL / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for before, after in changes:
            if (times := text.count(before)) != 1:
                raise LaunchError(f"Prism's {name} isn't the one that is known: {before!r} is there {times} times")
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
    (module / _INTERNAL / _ADDED).write_text(_LISTENING, encoding="utf-8")
