"""A break: the pointer moves in two transactions, so that there is an instant at which half of it has moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tandem.views.publishing import pointer
from tandem.views.publishing.publications import Publishing
from tandem.views.rows import Publication
from tandem.views.storage.tables import publications

__all__ = ["torn_publish"]

_INTACT = Publishing.publish


def torn_publish(between: Callable[[], None]) -> Callable[..., Publication]:
    """`Publishing.publish`, but the boundary moves first and the batch run after `between`, which is called while only
    the boundary has moved.
    """

    def publish(self: Publishing, *place: Any, **options: Any) -> Publication:
        moved: list[tuple[int, Any]] = []

        def move(connection: sa.Connection, wanted: Any, *rest: Any) -> int:
            served = pointer.current(connection, wanted.name)
            ordinal = intact(connection, wanted, *rest)
            moved.append((ordinal, wanted.batch_run.ordinal))
            _set_batch_run(connection, ordinal, served.batch_run if served is not None else None)
            return ordinal

        intact = pointer.move
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pointer, "move", move)
            _INTACT(self, *place, **options)
        between()
        with self.database.write(durable=True) as connection:
            _set_batch_run(connection, *moved[0])
        return self.publications(place[0], moved[0][0])[0]

    return publish


def _set_batch_run(connection: sa.Connection, publication: int, batch_run: int | None) -> None:
    row = publications.c.ordinal == publication
    connection.execute(publications.update().where(row).values(batch_run=batch_run))
