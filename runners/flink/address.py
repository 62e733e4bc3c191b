"""Checks the value of `--flink_master` before anything connects to it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from tandem.runners.plan.launch import EMBEDDED
from tandem.schemas.errors import LaunchError

__all__ = ["check_master"]

_FLAG: Final = "--flink_master"
_WANTED: Final = (
    "it is HOST:PORT of the JobManager's REST interface, 8081 as a rule, or [local] for one inside the job server"
)


def check_master(text: str) -> None:
    """Raises LaunchError for an invalid address, naming it."""
    problem = None if text in EMBEDDED else _problem(text)
    if problem:
        raise LaunchError(f"{_FLAG}: {text!r} {problem}", _WANTED)


def _problem(text: str) -> str | None:
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme not in ("", "http", "https"):
        return f"begins with {parts.scheme}://, and Flink is asked by http"
    if not host or any(letter.isspace() or letter in "[]," for letter in host):
        return "is no address"
    if port == 0 or (port is None and not parts.scheme):
        return "has no port"
    return None
