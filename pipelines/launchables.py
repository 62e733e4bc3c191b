"""All pipelines that the command line starts, by name."""

from __future__ import annotations

from typing import Final

from tandem.pipelines.backfill import BACKFILL
from tandem.pipelines.backtest.job import BACKTEST
from tandem.pipelines.live import LIVE
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.publish import PUBLISH
from tandem.pipelines.reconcile import RECONCILE
from tandem.pipelines.windowed import WINDOWED
from tandem.schemas.errors import UserError

__all__ = ["LAUNCHABLES", "launchable"]

LAUNCHABLES: Final[dict[str, Launchable]] = {
    one.name: one for one in (LIVE, BACKFILL, PUBLISH, RECONCILE, WINDOWED, BACKTEST)
}
"""The pipelines, by name."""


def launchable(name: str) -> Launchable:
    """The pipeline of a name. Raises UserError."""
    if name == "replay":
        raise UserError(
            "replay has no graph of its own: messages are published by the command itself, records of files"
            " are taken in by a backfill (`tandem plan backfill`)"
        )
    if name not in LAUNCHABLES:
        raise UserError(f"no pipeline is named {name!r}; there are {', '.join(LAUNCHABLES)}")
    return LAUNCHABLES[name]
