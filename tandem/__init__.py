"""The command line, in thin modules, one for each group of commands; and `tandem.connect`, the Python client."""

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
