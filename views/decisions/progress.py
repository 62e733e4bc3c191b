"""The progress of a rule, as it is stored: a pass compares it before it writes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from tandem.views.decisions.tables import decision_progress

__all__ = ["Progress", "read_progress", "write_progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """See `decision_progress`; an empty version: nothing was decided yet."""

    version: str = ""
    first: int | None = None
    over_to: int | None = None
    settled_to: int | None = None
    dirty: bool = False
    passes: int = 0
    episodes: int = 0

    def reaching(self, over_to: int | None, settled_to: int | None) -> Progress:
        """The progress advanced to these starts; windows that were over stay over."""
        known = [each for each in (self.over_to, over_to) if each is not None]
        return replace(self, over_to=max(known, default=None), settled_to=settled_to)

    def after(self, *, dirty: bool, episodes: int) -> Progress:
        """The progress after one more pass."""
        return replace(self, dirty=dirty, episodes=episodes, passes=self.passes + 1)


def read_progress(connection: sa.Connection, name: str, rule: str) -> Progress:
    """The stored progress of a rule."""
    p = decision_progress.c
    row = connection.execute(sa.select(decision_progress).where(p.name == name, p.rule == rule)).first()
    if row is None:
        return Progress()
    return Progress(
        row.version, row.first, row.over_to, row.settled_to, bool(row.dirty), int(row.passes), int(row.episodes)
    )


def write_progress(connection: sa.Connection, name: str, rule: str, progress: Progress) -> None:
    """Store the progress of a rule."""
    p = decision_progress.c
    values = {
        "version": progress.version,
        "first": progress.first,
        "over_to": progress.over_to,
        "settled_to": progress.settled_to,
        "dirty": int(progress.dirty),
        "passes": progress.passes,
        "episodes": progress.episodes,
    }
    mine = (p.name == name) & (p.rule == rule)
    if connection.execute(decision_progress.update().where(mine).values(values)).rowcount == 0:
        connection.execute(decision_progress.insert().values(name=name, rule=rule, **values))
