"""Reports a job on another runner while its launcher waits: failures, missing slots, crowded machines."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.schemas.privacy.printable import printable
from tandem.schemas.telemetry.logs import logged

__all__ = ["JobNews", "Standing", "say"]

_LASTS: Final = 2
"""Checks in a row after which a state counts: a job that begins, or is restarted, lacks slots for a moment, too."""
_NO_SLOTS: Final = "NoResourceAvailableException"


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a job; None for a normal or unknown one."""

    waits: str | None = None
    """The missing slots, with numbers, when it can't begin or continue."""
    crowded: str | None = None
    """The few machines that it is confined to, when it could be on more."""
    spread: str = ""
    """The commands that spread it again."""


class JobObserver(Protocol):
    """Reads the state of a job from its runner."""

    def failures(self, name: str, options: PipelineOptions, since: int) -> list[tuple[int, str]]:
        """(milliseconds since 1970-01-01 UTC, one line) of failures after `since` from which it was restarted."""
        ...

    def standing(self, name: str, options: PipelineOptions) -> Standing:
        """The job's current state."""
        ...


@dataclass
class JobNews:
    """Reports one job; each state once, until it changes."""

    name: str
    options: PipelineOptions
    observer: JobObserver
    waiting: str | None = None
    """The slots that the job has been missing for two checks or more."""
    _since: int = field(default_factory=lambda: int(time.time() * 1000))
    _waits: list[str] = field(default_factory=list)
    _crowded: int = 0

    def look(self) -> None:
        """Check the job, and print changes."""
        standing = self.observer.standing(self.name, self.options)
        self._say_failures(standing)
        self._say_waits(standing)
        self._say_crowded(standing)

    def _say_failures(self, standing: Standing) -> None:
        for at, line in self.observer.failures(self.name, self.options, self._since):
            self._since = at
            if not (_NO_SLOTS in line and (standing.waits or self._waits)):
                say(f"job {self.name} failed and is restarted: {line}")

    def _say_waits(self, standing: Standing) -> None:
        if standing.waits is None:
            if self.waiting:
                say(f"job {self.name} has its slots")
            self._waits, self.waiting = [], None
            return
        self._waits.append(standing.waits)
        if len(self._waits) >= _LASTS:
            if self.waiting != standing.waits:
                say(f"job {self.name} {standing.waits}")
            self.waiting = standing.waits

    def _say_crowded(self, standing: Standing) -> None:
        self._crowded = self._crowded + 1 if standing.crowded else 0
        if self._crowded == _LASTS:
            say(f"job {self.name} {standing.crowded}; {standing.spread}")


def say(line: str) -> None:
    """Print on standard error, or log where logs are structured."""
    if not logged(line, logging.WARNING):
        sys.stderr.write(f"{printable(line)}\n")
