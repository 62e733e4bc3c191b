"""What a launcher reports of a job on another runner while it waits: failures, missing slots, crowded machines."""

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
"""Looks in a row until something isn't of the moment: a job that begins, or is restarted, has no slots either."""
_NO_SLOTS: Final = "NoResourceAvailableException"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job does; None for what is as it should be, or what nobody knows."""

    waits: str | None = None
    """What it waits for, with numbers, when it can't begin, or go on."""
    crowded: str | None = None
    """On how few machines all of it is, when it could be on more."""
    spread: str = ""
    """How it is spread again."""


class JobObserver(Protocol):
    """Asks a runner how a job does."""

    def failures(self, name: str, options: PipelineOptions, since: int) -> list[tuple[int, str]]:
        """(milliseconds since 1970-01-01 UTC, one line) of failures after `since` that it was restarted after."""
        ...

    def standing(self, name: str, options: PipelineOptions) -> Standing:
        """How it does."""
        ...


@dataclass
class JobNews:
    """Of one job; each thing is said once, until it changes."""

    name: str
    options: PipelineOptions
    observer: JobObserver
    waiting: str | None = None
    """What the job has been waiting for at two looks or more."""
    _since: int = field(default_factory=lambda: int(time.time() * 1000))
    _waits: list[str] = field(default_factory=list)
    _crowded: int = 0

    def look(self) -> None:
        """Ask, and say what is new."""
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
    """On standard error."""
    if not logged(line, logging.WARNING):
        sys.stderr.write(f"{printable(line)}\n")
