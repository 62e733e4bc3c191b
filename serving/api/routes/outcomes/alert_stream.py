"""Streams alerts as they change: each new state is an event, once a stream.

An event's id is its reader's position: the newest change and the newest acknowledgement, by their writers' clocks. A
reader that reconnects with it gets all later changes, and again those of the minute before, since clocks of several
deliverers differ: it recognizes repeated ones by `id` and `revision`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import json_text
from tandem.serving.api.problems import Problem
from tandem.serving.api.streams import QUIET, event, problem_event
from tandem.serving.outcomes.alert_data import alert_data
from tandem.serving.questions.selection.naming import key_named
from tandem.views.decisions.listing import alerts, newest_changes

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tandem.serving.api.answering import Asking
    from tandem.serving.api.context import Service
    from tandem.serving.api.routes.outcomes.parameters import AlertEventParameters
    from tandem.serving.security.principals import Principal

__all__ = ["alert_events"]

_BACK: Final = 60 * 1_000_000
_AT_ONCE: Final = 10_000
_PLACE: Final = re.compile(r"([0-9]{1,17})-([0-9]{1,17})", re.ASCII)


@dataclass
class _Reader:
    """The position of one reader of alerts."""

    asked: AlertEventParameters
    place: tuple[int, int] | None
    """(changed, acknowledged), microseconds UTC; None at first."""
    sent: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By alert (changed, acknowledged, revision) as it was sent, for those that may be read again."""

    def changed(self, asking: Asking) -> list[bytes]:
        """Events of changed alerts, the first change first; at first of firing ones. The last one has an id: a reader
        that lost some of them gets all again.
        """
        rows = self._first(asking) if self.place is None else self._changed_since(asking, self.place)
        rows.sort(key=lambda row: (row.changed_at, row.acknowledged_at, row.id))
        self._forget()
        columns = asking.compiled.definition.key
        stated = [json_text(alert_data(columns, row)).encode() for row in rows]
        ids: list[str | None] = [None] * (len(stated) - 1) + ["{}-{}".format(*self.place or (0, 0))]
        return [event("alert", data, id_) for data, id_ in zip(stated, ids, strict=False)]

    def _first(self, asking: Asking) -> list[Any]:
        """Firing alerts; other recent changes count as sent."""
        with asking.store.views.database.read() as connection:
            self.place = newest_changes(connection, asking.name)
            known = self._alerts(connection, asking, changed=_before(self.place))
            self.sent = {row.id: _state_of(row) for row in known}
            return self._alerts(connection, asking, firing=True)

    def _changed_since(self, asking: Asking, place: tuple[int, int]) -> list[Any]:
        with asking.store.views.database.read() as connection:
            found = self._alerts(connection, asking, changed=_before(place))
        rows = [row for row in found if self.sent.get(row.id) != _state_of(row)]
        self.sent |= {row.id: _state_of(row) for row in rows}
        self.place = _latest([place, *map(_place_of, rows)])
        return rows

    def _alerts(self, connection: sa.Connection, asking: Asking, **which: Any) -> list[Any]:
        key, visible = key_named(asking.compiled, self.asked.key), asking.principal.rows.visible(asking.name)
        return alerts(connection, asking.name, rule=self.asked.rule, key=key, visible=visible, most=_AT_ONCE, **which)

    def _forget(self) -> None:
        if self.place is not None:
            low = _before(self.place)
            self.sent = {id_: at for id_, at in self.sent.items() if at[0] >= low[0] or at[1] >= low[1]}


def _place_of(row: Any) -> tuple[int, int]:
    return int(row.changed_at), int(row.acknowledged_at)


def _state_of(row: Any) -> tuple[int, int, int]:
    return *_place_of(row), int(row.revision)


def _latest(places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    changed, acknowledged = zip(*places, strict=True)
    return max(changed), max(acknowledged)


def _before(place: tuple[int, int]) -> tuple[int, int]:
    """The position from which to read; 0 stands for no acknowledgement."""
    return place[0] - _BACK, max(place[1] - _BACK, 1)


async def alert_events(
    service: Service,
    name: str,
    principal: Principal,
    asked: AlertEventParameters,
    allowed: Callable[[], bool],
    known: str,
) -> AsyncIterator[bytes]:
    """The events of a stream that has begun; `known`: the id of its reader's last event, '' without one."""
    place = _PLACE.fullmatch(known)
    reader = _Reader(asked, (int(place[1]), int(place[2])) if place else None)
    async for looked in service.streams.turns(allowed):
        if not looked:
            yield QUIET
            continue
        try:
            for each in await service.streams.asked(lambda: service.asker.run(name, principal, reader.changed)):
                yield each
        except (Problem, TandemError) as error:
            yield problem_event(error)
