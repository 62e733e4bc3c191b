"""The progress of a rule, as it is stored: a pass compares it before it writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from tandem.views.decisions.tables import decision_progress
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import whole_rows

__all__ = ["Progress", "read_progress", "write_progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """See `decision_progress`; an empty version: nothing was decided yet."""

    version: str = ""
    first: int | None = None
    over_to: int | None = None
    settled_to: int | None = None
    unshown: int | None = None
    passes: int = 0
    episodes: int = 0

    def reaching(self, over_to: int | None, settled_to: int | None) -> Progress:
        """The progress advanced to these starts; windows that were over stay over."""
        known = [each for each in (self.over_to, over_to) if each is not None]
        return replace(self, over_to=max(known, default=None), settled_to=settled_to)

    def after(self, *, unshown: int | None, episodes: int) -> Progress:
        """The progress after one more pass."""
        return replace(self, unshown=unshown, episodes=episodes, passes=self.passes + 1)


def read_progress(connection: sa.Connection, name: str) -> dict[str, Progress]:
    """The stored progress of each rule that was begun."""
    rows = whole_rows(connection, decision_progress, _OF_NAME, {"name": name})
    return {
        rule: Progress(version, first, over_to, settled_to, unshown, int(passes), int(episodes))
        for _, rule, version, first, over_to, settled_to, unshown, passes, episodes in rows
    }


_OF_NAME: Final = sa.text("SELECT * FROM decision_progress WHERE name = :name")


def write_progress(database: Database, connection: sa.Connection, name: str, rule: str, progress: Progress) -> None:
    """Store the progress of a rule."""
    known = (progress.version, progress.first, progress.over_to, progress.settled_to)
    row = (name, rule, *known, progress.unshown, progress.passes, progress.episodes)
    database.write_rows(connection, database.overwrite(decision_progress), [row])
