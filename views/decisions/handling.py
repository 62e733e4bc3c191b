"""Users' acts on alerts: acknowledging them, and silencing known ones."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.schemas.errors import UserError
from tandem.views.decisions.tables import decision_episodes, decision_silences
from tandem.views.store import ViewStore

__all__ = ["acknowledge", "end_silence", "silence"]


def acknowledge(store: ViewStore, name: str, episode: str, by: str, note: str, now: int) -> None:
    """Note who has seen an alert, by its id. Raises UserError for an unknown alert."""
    e = decision_episodes.c
    values = {"acknowledged_at": now, "acknowledged_by": by, "note": note}
    with store.database.write(durable=True) as connection:
        mine = (e.name == name) & (e.id == episode)
        if connection.execute(decision_episodes.update().where(mine).values(values)).rowcount == 0:
            raise UserError(f"{name}: there is no alert {episode[:80]}; `tandem alerts list {name}` lists them")


def silence(
    store: ViewStore, name: str, starts_at: int, ends_at: int, *, rule: str = "", key: str = "", by: str, note: str
) -> int:
    """Suppress messages of a rule ('': all rules) and key ('': all keys) for a time (wall clock); returns the silence's
    number.

    Verdicts and episodes continue. Suppressed messages aren't sent later; an alert that was sent before is still
    followed up.
    """
    values = {"name": name, "rule": rule, "key": key, "starts_at": starts_at, "ends_at": ends_at, "by": by}
    with store.database.write(durable=True) as connection:
        done = connection.execute(decision_silences.insert(), {**values, "note": note})
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])


def end_silence(store: ViewStore, name: str, ordinal: int, now: int) -> None:
    """End a silence by its number. Raises UserError for an unknown one."""
    s = decision_silences.c
    with store.database.write(durable=True) as connection:
        mine = (s.name == name) & (s.ordinal == ordinal)
        known = connection.execute(sa.select(s.ends_at).where(mine)).scalar()
        if known is None:
            raise UserError(f"{name}: there is no silence {ordinal}; `tandem alerts silence {name} --list` lists them")
        connection.execute(decision_silences.update().where(mine).values(ends_at=min(known, now)))
