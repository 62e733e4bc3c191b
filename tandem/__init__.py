"""The command line: thin modules, one per group of commands. And `tandem.connect`, which asks from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tandem.serving.client.connecting import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    if name == "connect":
        from tandem.serving.client.connecting import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
