"""Whether what is about to be changed in Beam is what is known."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from apache_beam.version import __version__ as beam_version

from tandem.schemas.errors import LaunchError

__all__ = ["check_parameters", "check_source"]


def check_source(of: Any, text: str, times: int, else_would: str) -> None:
    """Raise LaunchError unless the source has this text so many times; `else_would`: what Beam would do."""
    found = inspect.getsource(of).count(text)
    if found != times:
        raise _unknown(f"{of.__name__} has {text!r} {found} times, not {times}", else_would)


def check_parameters(of: Callable[..., Any], names: tuple[str, ...], else_would: str) -> None:
    """Raise LaunchError unless a function takes just these."""
    found = tuple(inspect.signature(of).parameters)
    if found != names:
        raise _unknown(f"{of.__qualname__} takes {', '.join(found)}", else_would)


def _unknown(what: str, else_would: str) -> LaunchError:
    return LaunchError(
        f"Beam {beam_version} isn't the one that is known ({what}), and would {else_would}: nothing was started",
        "install the versions of requirements/lock.txt",
    )
