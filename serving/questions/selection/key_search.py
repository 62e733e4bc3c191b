"""Searches the served keys, page by page, in the order of keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import merge
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tandem.views.answers.reading.scope import read_scope
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import LayerFile
from tandem.views.layers.rows import keys_with_files
from tandem.views.storage.tables import batch_states, live_states

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.store import ViewStore

__all__ = ["FoundKeys", "find_keys"]

_LOOKED_AT: Final = 20_000
"""Keys that one page examines: a rare text gets an empty page with a `next`, not an endless search."""


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """One page of keys (canonical)."""

    keys: tuple[str, ...]
    next: str | None
    """The key after which the next page begins; None on the last page."""


def find_keys(
    store: ViewStore,
    compiled: CompiledDefinition,
    text: str | None,
    limit: int,
    *,
    after: str = "",
    visible: Callable[[str], bool] | None = None,
) -> FoundKeys:
    """Served keys after `after` with a value that contains a text, ignoring case."""
    wanted = text.casefold() if text else ""
    found: list[str] = []
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        places, files = [], list[LayerFile]()
        if scope.batch_ordinal is not None:
            places.append((batch_states, batch_states.c.definition == scope.definition))
            files = layer_files(connection, scope.definition, scope.chain)
        if scope.live_id is not None:
            places.append((live_states, live_states.c.run == scope.live_id))
        last, stored = after, merge(*(_keys(connection, table, rows, after) for table, rows in places))
        for looked_at, key in enumerate(keys_with_files(stored, files, after)):
            if key == last:
                continue
            if len(found) == limit or looked_at >= _LOOKED_AT:
                return FoundKeys(tuple(found), last)
            last = key
            if (visible is None or visible(key)) and (not wanted or _holds(key, wanted)):
                found.append(key)
    return FoundKeys(tuple(found), None)


def _keys(connection: sa.Connection, table: sa.Table, rows: sa.ColumnElement[bool], after: str) -> Iterator[str]:
    """Each key once, by one index step for each key, however many tiles it has."""
    last: str | None = after
    while True:
        last = connection.execute(sa.select(sa.func.min(table.c.key)).where(rows, table.c.key > last)).scalar()
        if last is None:
            return
        yield last


def _holds(key: str, wanted: str) -> bool:
    return any(wanted in str(value).casefold() for value in json.loads(key))
