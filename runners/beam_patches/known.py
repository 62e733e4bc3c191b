"""A patch's description, and the checks that the code it is about to change is the known one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apache_beam.version import __version__ as beam_version

from tandem.schemas.errors import LaunchError

__all__ = ["Patch", "check_parameters", "check_source"]


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of Beam: its reason, and the versions that it was tried with."""

    else_would: str
    """Beam's behaviour without it."""
    issue: str
    """Address of Beam's issue about it, or that none is known."""
    tried: tuple[str, ...]
    goes_when: str
    """The change in Beam that makes the patch superfluous; the patch's tests fail then."""

    def check(self, version: str = beam_version) -> None:
        """Raise LaunchError for a version of Beam that the patch wasn't tried with."""
        if version not in self.tried:
            raise _unknown(f"tried with {', '.join(self.tried)}", self.else_would, version)


def check_source(of: Any, text: str, times: int, else_would: str) -> None:
    """Raise LaunchError unless the source contains this text `times` times; `else_would`: Beam's behaviour without the
    patch.
    """
    found = inspect.getsource(of).count(text)
    if found != times:
        raise _unknown(f"{of.__name__} has {text!r} {found} times, not {times}", else_would)


def check_parameters(of: Callable[..., Any], names: tuple[str, ...], else_would: str) -> None:
    """Raise LaunchError unless a function takes exactly these parameters."""
    found = tuple(inspect.signature(of).parameters)
    if found != names:
        raise _unknown(f"{of.__qualname__} takes {', '.join(found)}", else_would)


def _unknown(what: str, else_would: str, version: str = beam_version) -> LaunchError:
    return LaunchError(
        f"Beam {version} isn't the one that is known ({what}), and would {else_would}: nothing was started",
        "install the versions of requirements/lock.txt",
    )
