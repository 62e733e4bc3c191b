"""Limits compaction: it joins no run newer than the oldest one that can still be read by itself.

A prefix is a batch run with all its ancestors. Its rows may be joined where every run that can be served, published,
rolled back to or stood upon has all of the prefix among its ancestors, or nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from tandem.views.batch.chains import Chain
from tandem.views.storage.tables import batch_runs

__all__ = ["common_ancestor", "common_prefixes", "newest_prefixes"]

_ALIVE = frozenset({"COMPLETE", "BUILDING"})


def common_prefixes(connection: sa.Connection, definition: int, *, lock: bool = False) -> list[Chain]:
    """For each tree of ancestries the longest prefix that all living runs stand on; `lock`: unchanged until the
    transaction ends.

    A live run's base is COMPLETE as long as the run isn't dropped, or lies below one that is.
    """
    r = batch_runs.c
    query = sa.select(r.ordinal, r.parent, r.status).where(r.definition == definition)
    rows = connection.execute(query.with_for_update() if lock else query).all()
    parents = {row.ordinal: row.parent for row in rows}
    common: dict[int, int] = {}
    for row in rows:
        if row.status not in _ALIVE:
            continue
        # A run that is being built has no rows that are read, but those of its parent.
        stands_on = row.parent if row.status == "BUILDING" else row.ordinal
        if stands_on is not None:
            root = _root(parents, stands_on)
            common[root] = _meet(parents, common.get(root, stands_on), stands_on)
    return [_chain(parents, ordinal) for ordinal in common.values()]


def newest_prefixes(connection: sa.Connection, definition: int) -> list[Chain]:
    """For each tree of ancestries the newest COMPLETE run, with its ancestors."""
    r = batch_runs.c
    rows = connection.execute(sa.select(r.ordinal, r.parent, r.status).where(r.definition == definition)).all()
    parents = {row.ordinal: row.parent for row in rows}
    newest: dict[int, int] = {}
    for row in rows:
        if row.status == "COMPLETE":
            root = _root(parents, row.ordinal)
            newest[root] = max(row.ordinal, newest.get(root, 0))
    return [_chain(parents, ordinal) for ordinal in newest.values()]


def common_ancestor(connection: sa.Connection, definition: int, ordinals: Sequence[int]) -> int:
    """The newest run that all of these are or stand on; the newest of them where they have no ancestor in common."""
    r = batch_runs.c
    rows = connection.execute(sa.select(r.ordinal, r.parent).where(r.definition == definition)).all()
    parents = {row.ordinal: row.parent for row in rows}
    if len({_root(parents, ordinal) for ordinal in ordinals}) > 1:
        return max(ordinals)
    found = ordinals[0]
    for ordinal in ordinals[1:]:
        found = _meet(parents, found, ordinal)
    return found


def _root(parents: Mapping[int, int | None], ordinal: int) -> int:
    while (parent := parents[ordinal]) is not None:
        ordinal = parent
    return ordinal


def _meet(parents: Mapping[int, int | None], one: int, other: int) -> int:
    """The newest run that both stand on; a parent's number is lower than its children's."""
    while one != other:
        above = parents[max(one, other)]
        assert above is not None
        one, other = min(one, other), above
    return one


def _chain(parents: Mapping[int, int | None], ordinal: int | None) -> Chain:
    found = set[int]()
    while ordinal is not None:
        found.add(ordinal)
        ordinal = parents[ordinal]
    return frozenset(found)
