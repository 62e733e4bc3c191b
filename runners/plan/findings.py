"""Findings about a launch, each with its remedy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from tandem.schemas.errors import LaunchError

__all__ = ["Finding", "Level", "errors_of", "in_order", "refuse"]


class Level(StrEnum):
    """The severity of a finding."""

    ERROR = "error"
    """The job would do nothing, lose events or answer wrongly, or it can't start: the launch is refused."""
    WARNING = "warning"
    """The job works differently than expected, or slower than necessary."""
    NOTE = "note"
    """Informative."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One feature that the runner lacks, or treats differently."""

    level: Level
    code: str
    """The kind of finding, for `--accept`."""
    what: str
    where: str
    """A step's label, a flag, a path; empty for the whole job."""
    remedy: str

    def line(self, accepted: Collection[str] = ()) -> str:
        """One line, without the level; of an error that was accepted without the remedy, too."""
        where = f" [{self.where}]" if self.where else ""
        stated = f"{self.code}{where}: {self.what}"
        return stated if self.is_accepted(accepted) else f"{stated}; {self.remedy}"

    def heading(self, accepted: Collection[str] = ()) -> str:
        """The level, or that it was accepted."""
        return "accepted" if self.is_accepted(accepted) else str(self.level)

    def is_accepted(self, accepted: Collection[str]) -> bool:
        """Whether it is an error whose code was accepted."""
        return self.level is Level.ERROR and self.code in accepted

    def data(self) -> dict[str, str]:
        """As plain values, for JSON."""
        return {**asdict(self), "level": str(self.level)}


_RANK = {level: rank for rank, level in enumerate(Level)}


def in_order(findings: Collection[Finding]) -> tuple[Finding, ...]:
    """Without repetitions, errors first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda found: _RANK[found.level]))


def errors_of(findings: Collection[Finding], accepted: Collection[str] = ()) -> tuple[Finding, ...]:
    """The errors whose codes weren't accepted."""
    return tuple(f for f in findings if f.level is Level.ERROR and f.code not in accepted)


def refuse(findings: Sequence[Finding], accepted: Collection[str] = (), *, plan: str = "tandem plan") -> None:
    """Raise LaunchError (exit code 2) of one line if any finding is an error; `plan` is the command that shows all."""
    errors = errors_of(findings, accepted)
    if errors:
        more = f" (and {len(errors) - 1} more: `{plan} ...` shows all)" if len(errors) > 1 else ""
        raise LaunchError(f"{errors[0].line()}{more}")
